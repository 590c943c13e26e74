"""Carries the requests of many lanes together, so that one round trip serves as many lanes as need it.

Joins of one lane share a batch (`groups.combiner`). Where joins go to thousands of lanes, a batch holds one
or two, and the round trips are what costs. Requests that arrive while earlier loads are under way leave in
one load when one of those comes back. On an idle store a request waits for a turn of the loop only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

# Many times what a load takes that waits for nobody.
PATIENCE_S = 0.05
STALLED_MAX = 6

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T, R]):
    item: T
    size: int
    answer: asyncio.Future[R]
    context: Context


class Convoy(Generic[T, R]):
    """Sends loads of items by `send`, which returns for each item, in its place, a result or an exception.

    A load holds at most `size_max` in all, and at least one item. `under_way_max` loads are sent at once. Up
    to `STALLED_MAX` loads that take longer than `PATIENCE_S`, perhaps waiting for a lock, do not count. The
    queue is bounded by the lanes: each lane asks once at a time.
    """

    def __init__(
        self,
        send: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        size_max: int,
        under_way_max: int,
    ) -> None:
        self._send = send
        self._size_max = size_max
        self._under_way_max = under_way_max
        self._waiting: deque[_Waiting[T, R]] = deque()
        # When each began, by the loop's time.
        self._under_way: dict[asyncio.Task[None], float] = {}
        self._is_starting = False
        self._look: asyncio.TimerHandle | None = None

    async def carry(self, item: T, size: int) -> R:
        """Returns the result of the item; raises the exception in its place, or the one `send` raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(item, size, answer, copy_context()))
        if not self._is_starting:
            # Others of this turn of the loop come along.
            self._is_starting = True
            loop.call_soon(self._start)
        return await answer

    def _start(self) -> None:
        self._is_starting = False
        now_s = asyncio.get_running_loop().time()
        while self._waiting and self._has_room(now_s):
            load = self._take_load()
            # The first of a load is the one whose trace shows it.
            task = asyncio.create_task(self._see_through(load), context=load[0].context)
            self._under_way[task] = now_s
            task.add_done_callback(self._ended)
        if self._waiting and self._look is None:
            self._look = asyncio.get_running_loop().call_later(PATIENCE_S, self._look_again)

    def _has_room(self, now_s: float) -> bool:
        brisk = sum(now_s - began_s < PATIENCE_S for began_s in self._under_way.values())
        return brisk < self._under_way_max and len(self._under_way) < self._under_way_max + STALLED_MAX

    def _look_again(self) -> None:
        self._look = None
        self._start()

    def _take_load(self) -> list[_Waiting[T, R]]:
        load = [self._waiting.popleft()]
        size = load[0].size
        while self._waiting and size + self._waiting[0].size <= self._size_max:
            waiting = self._waiting.popleft()
            size += waiting.size
            load.append(waiting)
        return load

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._start()

    async def _see_through(self, load: list[_Waiting[T, R]]) -> None:
        try:
            outcomes = await self._send([waiting.item for waiting in load])
        except BaseException as error:
            for waiting in load:
                _fail(waiting.answer, error)
            if not isinstance(error, Exception):
                raise
            return
        for waiting, outcome in zip(load, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(waiting.answer, outcome)
            elif not waiting.answer.done():
                waiting.answer.set_result(outcome)


def _fail(answer: asyncio.Future[R], error: BaseException) -> None:
    if answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    else:
        answer.set_exception(error)
