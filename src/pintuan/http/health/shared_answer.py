"""One answer for everybody who asks at about the same time.

Health checks and scrapers all ask the same, and finding the answer costs far more than giving it. There is
therefore one look at a time, and its answer serves for a moment afterwards.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from groups.looks import SharedLooks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")
READINESS_KEPT_S: Final = 0.5
METRICS_KEPT_S: Final = 1.0


class SharedAnswer(Generic[T]):
    """Shares what `look` returns for `kept_s`, if `keeps` says so; it belongs to one event loop."""

    def __init__(
        self,
        look: Callable[[], Coroutine[Any, Any, T]],
        *,
        kept_s: float,
        keeps: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._look = look
        self._kept_s = kept_s
        self._keeps = keeps
        self._looks = SharedLooks()
        self._kept: tuple[float, T] | None = None

    async def get(self) -> T:
        """Returns an answer that is at most `kept_s` old; raises what `look` raises."""
        if self._kept is not None and asyncio.get_running_loop().time() < self._kept[0]:
            return self._kept[1]
        return await self._looks.share("", self._look_and_keep)

    async def _look_and_keep(self) -> T:
        # From before the look on: the answer may be as old as that.
        until_s = asyncio.get_running_loop().time() + self._kept_s
        answer = await self._look()
        self._kept = (until_s, answer) if self._keeps(answer) else None
        return answer
