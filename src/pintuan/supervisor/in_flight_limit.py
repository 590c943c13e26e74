"""How many calls may be under way so that each is answered in time, found out by how long they take.

A fixed number bounds latency only as long as the stores keep their speed: 500 calls are a tenth of a second
of work for a healthy Postgres and five for one whose disk stalls. By Little's law the calls under way are
their rate times their latency, so where the latency is too high the number goes down in proportion.
"""

from __future__ import annotations

from typing import Final

LATENCY_AIM_S: Final = 0.4
"""What calls take on average at most; the slowest in a hundred of a queue take about twice as long."""
LIMIT_MIN: Final = 32
"""Enough for a batch to be worth its statement, however slow the stores are."""
SAMPLES_MIN: Final = 16
"""Fewer calls than these say nothing about the average."""
_SHRINK_MIN: Final = 0.25
_GROWTH: Final = 1.5


class InFlightLimit:
    """The number allowed now: from `LIMIT_MIN` to `limit_max`, which is also where it begins.

    Times are a monotonic clock's, in seconds.
    """

    def __init__(self, limit_max: int) -> None:
        self._limit_max = limit_max
        self._limit_min = min(LIMIT_MIN, limit_max)
        self._changed_at_s = 0.0
        self._samples = 0
        self._total_s = 0.0
        self.now = limit_max

    def answered(self, started_s: float, ended_s: float) -> None:
        """Notes one call; those that began under another limit say nothing about this one."""
        if started_s >= self._changed_at_s:
            self._samples += 1
            self._total_s += ended_s - started_s

    def adapt(self, now_s: float, *, is_idle: bool) -> None:
        """Changes the number by what was noted; `is_idle` says that no call is under way."""
        if is_idle:
            # Whatever was slow may have recovered meanwhile, and whoever comes next should not pay for it.
            self._change(self._limit_max, now_s)
        elif self._samples >= SAMPLES_MIN:
            latency_s = self._total_s / self._samples
            if latency_s > LATENCY_AIM_S:
                shrink = max(_SHRINK_MIN, LATENCY_AIM_S / latency_s)
                self._change(max(self._limit_min, int(self.now * shrink)), now_s)
            elif latency_s * _GROWTH <= LATENCY_AIM_S:
                self._change(min(self._limit_max, int(self.now * _GROWTH)), now_s)
            self._samples, self._total_s = 0, 0.0

    def _change(self, limit: int, now_s: float) -> None:
        if limit != self.now:
            self.now = limit
            self._changed_at_s = now_s
            self._samples, self._total_s = 0, 0.0
