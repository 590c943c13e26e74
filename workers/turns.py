"""Turns at work that one worker does for all.

Every worker sweeps by its own clock. A sweep that costs each worker the same, however little there is to do,
need not be done by all. The worker that begins it keeps the others from it for half its period. A worker that
dies in its turn is followed by another within a period.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from groups.sweeps import take_turn

if TYPE_CHECKING:
    import asyncpg

    from workers.clock import Sweep

# The part of a sweep's period that a turn lasts; less than all of it, so that workers whose clocks strike at
# different moments leave out no period.
SHARE_OF_PERIOD: Final = 0.5


def in_turns(pool: asyncpg.Pool, sweeps: Iterable[Sweep]) -> list[Sweep]:
    """Returns the sweeps; those that one worker does for all are done only when it is our turn."""
    return [
        replace(sweep, job=partial(_take_turn, pool, sweep)) if sweep.one_for_all else sweep
        for sweep in sweeps
    ]


async def _take_turn(pool: asyncpg.Pool, sweep: Sweep) -> None:
    if await take_turn(pool, sweep.name, turn_ms=round(sweep.every_s * SHARE_OF_PERIOD * 1_000)):
        await sweep.job()
