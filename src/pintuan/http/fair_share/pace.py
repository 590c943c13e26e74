"""The part of the event loop's time that calls may have beside joins answered without the application.

A process has one interpreter. A call's time on the loop between two waits is measured. While joins are under
way, its place is of use again only after a pause that is several times as long. All classes pause behind one
another, so that together they get a fixed part of the time, however many there are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

PAUSE: Final = 3.0
"""Times what a call took of the interpreter: beside joins, all others together have a third of it at most."""
HTTP_S: Final = 0.0001
"""The time of reading a request and writing its answer, beside the application's part."""
JOINS_RECENT_S: Final = 0.1
"""Between two batches of a busy sale no join is under way for a moment."""
PAUSE_S_MAX: Final = 1.0


class Pace:
    """Says how long places pause; `places_calls` tells whether joins are under way."""

    def __init__(self, places_calls: Callable[[], bool], now_s: Callable[[], float] = time.monotonic) -> None:
        self._places_calls = places_calls
        self._now_s = now_s
        self._joins_until_s = 0.0
        # When the next place is of use again.
        self._next_s = 0.0

    @property
    def has_joins(self) -> bool:
        """Says whether joins are under way, or were a moment ago."""
        now_s = self._now_s()
        if self._places_calls():
            self._joins_until_s = now_s + JOINS_RECENT_S
        return now_s < self._joins_until_s

    def pause_s(self, took_s: float) -> float:
        """Returns how long a call's place pauses that took so much of the interpreter; 0 without joins."""
        if not self.has_joins:
            return 0.0
        now_s = self._now_s()
        self._next_s = max(self._next_s, now_s) + (took_s + HTTP_S) * PAUSE
        self._next_s = min(self._next_s, now_s + PAUSE_S_MAX)
        return self._next_s - now_s


class Measured:
    """An awaitable that runs a coroutine and adds up what it takes of the interpreter between its waits."""

    __slots__ = ("_now_s", "_resumed_s", "_took_s", "_work")

    def __init__(
        self, work: Coroutine[Any, Any, None], now_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._work = work
        self._now_s = now_s
        self._took_s = 0.0
        self._resumed_s: float | None = None

    @property
    def took_s(self) -> float:
        """Seconds so far, also when the coroutine itself asks."""
        now_s = self._now_s()
        return self._took_s + (0.0 if self._resumed_s is None else now_s - self._resumed_s)

    def __await__(self) -> Generator[Any, Any, None]:
        step, argument = self._work.send, None
        while True:
            self._resumed_s = self._now_s()
            try:
                waits_for = step(argument)
            except StopIteration:
                return
            finally:
                self._took_s += self._now_s() - self._resumed_s
                self._resumed_s = None
            try:
                argument = yield waits_for
                step = self._work.send
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in is for the coroutine.
                step, argument = self._work.throw, error
