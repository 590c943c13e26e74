"""Work that several wait for, as the first buyers of a sale do, and that outlives those who give up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("groups.looks")


class SharedLooks:
    """Remembers only the look-ups under way; their number is bounded by the callers that wait."""

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
        return await outlived(task)


async def outlived(task: asyncio.Future[T]) -> T:
    """Returns what the task returns or raises what it raises; a caller that gives up does not end it.

    An error that comes after its caller gave up is logged: `asyncio.shield` alone leaves it to the garbage
    collector.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_tell_late_error)
        raise


def _tell_late_error(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("what nobody waits for any more failed: %r", error)
