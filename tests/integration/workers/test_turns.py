"""One worker at a time does what is done for all, and none for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import asyncpg
import pytest

from workers.clock import Sweep
from workers.turns import in_turns

pytestmark = pytest.mark.anyio

HOUR_S = 3_600
WORKERS = 8


async def test_of_many_workers_one_does_the_work_and_another_one_once_its_turn_is_over(
    pool: asyncpg.Pool,
) -> None:
    done = Counter[str]()

    async def work(name: str) -> None:
        done[name] += 1

    names = ("orphans", "keys")
    workers = [
        in_turns(
            pool,
            [
                *(Sweep(name, partial(work, name), every_s=HOUR_S, one_for_all=True) for name in names),
                Sweep("payments", partial(work, "payments"), every_s=HOUR_S),
            ],
        )
        for _ in range(WORKERS)
    ]

    async def everybody_sweeps() -> None:
        await asyncio.gather(*(sweep.job() for sweeps in workers for sweep in sweeps))

    await everybody_sweeps()
    await everybody_sweeps()
    assert done == {"orphans": 1, "keys": 1, "payments": 2 * WORKERS}
    # A worker that died with its turn keeps the others from it for half a period.
    await pool.execute("UPDATE sweep_turns SET next_at = next_at - interval '30 minutes'")
    await everybody_sweeps()
    assert done == {"orphans": 2, "keys": 2, "payments": 3 * WORKERS}
