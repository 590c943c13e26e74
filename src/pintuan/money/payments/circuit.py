"""A circuit breaker: a gateway that does not answer is left alone, and due operations wait without an
attempt.

    closed ──▶ open        FAILURES_IN_A_ROW different operations in a row had no answer
    open ──▶ half-open     after a pause, which doubles each time
    half-open ──▶ closed   anything was answered
    half-open ──▶ open     the probe, one call at a time, had no answer either

An operation that never gets an answer counts once, however often it is repeated, so it closes the way to
nobody. A gateway that says no has answered.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES_IN_A_ROW: Final = 5
# Failures further apart than this are no outage.
WINDOW_S: Final = 30.0
# Short enough that nobody notices when it was only a handful of lost answers.
FIRST_PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 10.0

State: TypeAlias = Literal["open", "closed"]


def _ignore(_state: State) -> None:
    """Stands for a caller who does not need to know."""


class Circuit:
    """One process' view of one gateway. `on_change` hears when it opens and when it closes again."""

    def __init__(
        self,
        *,
        on_change: Callable[[State], None] = _ignore,
        read_time_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._read_time_s = read_time_s
        self._failed_at_s: dict[str, float] = {}
        self._openings = 0
        self._probe_at_s: float | None = None
        self._probing = False

    def calls_allowed(self, count_max: int) -> int:
        """Returns how many of `count_max` calls may begin now."""
        if self._probe_at_s is None:
            return count_max
        if self._probing or self._read_time_s() < self._probe_at_s:
            return 0
        return min(1, count_max)

    def wait_s(self) -> float | None:
        """Returns how long until a probe may begin; None when the circuit is closed."""
        return None if self._probe_at_s is None else max(0.0, self._probe_at_s - self._read_time_s())

    def begin(self) -> bool:
        """Notes that calls begin; returns whether this is a probe, to be followed by `probe_ended`."""
        self._probing = self._probe_at_s is not None
        return self._probing

    def probe_ended(self) -> None:
        """Lets the next probe begin, whatever became of this one."""
        self._probing = False

    def answered(self) -> None:
        """Notes that the gateway answered, with any result."""
        self._failed_at_s.clear()
        if self._probe_at_s is not None:
            self._probe_at_s = None
            self._openings = 0
            self._on_change("closed")

    def failed(self, operation: str) -> None:
        """Notes that a call about `operation` was not answered or not taken."""
        now_s = self._read_time_s()
        if self._probe_at_s is None:
            self._failed_at_s = {
                name: at_s for name, at_s in self._failed_at_s.items() if at_s > now_s - WINDOW_S
            }
            self._failed_at_s[operation] = now_s
            if len(self._failed_at_s) >= FAILURES_IN_A_ROW:
                self._open(now_s)
                self._on_change("open")
        elif now_s >= self._probe_at_s:
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        longest_s = min(FIRST_PAUSE_S * 2 ** min(self._openings, 16), PAUSE_S_MAX)
        self._openings += 1
        self._failed_at_s.clear()
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 - jitter only, nobody gains by guessing it.
        self._probe_at_s = now_s + pause_s
