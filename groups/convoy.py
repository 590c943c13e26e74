"""Carries together what many lanes ask for one by one, so that a round trip serves as many as want it.

Joins of one lane share a batch (`groups.combiner`). Where joins go to thousands of lanes, a batch holds one
or two, and the round trips are what costs. So what lanes ask a store for while earlier loads are under way
leaves in one load when one of those comes back; on an idle store nothing waits but for a turn of the loop.
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
    """Sends loads of items by `send`, which answers each in its place: with what it came to, or an exception.

    A load holds at most `size_max` in all, and at least one item. `under_way_max` loads are sent at once; one
    that takes longer than `PATIENCE_S`, for it may wait for a lock, holds up nobody, up to `STALLED_MAX` of
    them. What waits is bounded by those who ask: each lane asks once at a time.
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
        """Returns what the item came to; raises what stands in its place, or what `send` raised."""
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
