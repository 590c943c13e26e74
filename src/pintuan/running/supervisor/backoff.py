"""How long to wait before a process is started again, and when to give up."""

import os
import random

DELAY_S_MIN = 0.1
DELAY_S_MAX = 5.0
WORKED_S = 2.0
"""A process that lived this long did its work: somebody killed it, and it is wanted back at once."""
STEADY_S = 10.0
"""A process that lived this long was well: its next death counts as the first."""
RESTARTS_MAX = 60
"""About four minutes of trying."""
STORE_AWAY_RESTARTS_MAX = 1_000
"""About an hour: a store that is not ours may be away for long, and nothing here is broken meanwhile."""
STORE_AWAY_STATUS = os.EX_TEMPFAIL
"""The exit code of a child that lost a store (sysexits(3): temporary failure, try again later)."""
BOOT_RESTARTS_MAX = 2
"""Until the marketplace is ready for the first time: a mistake in its settings should show at once."""
JITTER = 0.5


class Backoff:
    """The delays of one process: doubling, half of each random so that siblings do not restart in step."""

    def __init__(self) -> None:
        self._restarts = 0
        self._quick_deaths = 0

    def next_delay_s(self, lifetime_s: float, restarts_max: int = RESTARTS_MAX) -> float | None:
        """Seconds to wait after a life of `lifetime_s` seconds, or None when it died too often."""
        if lifetime_s >= STEADY_S:
            self._restarts = 0
        if self._restarts >= restarts_max:
            return None
        if lifetime_s >= WORKED_S:
            self._quick_deaths = 0
        delay_s = min(DELAY_S_MAX, DELAY_S_MIN * 2.0**self._quick_deaths)
        self._restarts += 1
        self._quick_deaths += 1
        return jittered(delay_s)


def jittered(delay_s: float) -> float:
    """Returns a delay of which a part, `JITTER` at most, is left to chance."""
    return delay_s * (1 - JITTER * random.random())  # noqa: S311  # spreading restarts needs no secrecy
