"""One look-up for everybody who asks the same at the same time, as the first buyers of a sale do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


class SharedLooks:
    """Remembers nothing but what is being looked up; what it holds is bounded by those who wait."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def share(self, key: Hashable, look: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns what `look` returns or raises what it raises; one under way for `key` serves as well.

        It outlives a caller that gives up, for others may wait for it.
        """
        task: asyncio.Task[T] | None = self._running.get(key)
        if task is None:
            task = asyncio.create_task(look(), context=Context())
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)
