"""A row that fails leaves its batch mates alone, is tried ever less often, and is set aside in the end."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import asyncpg
import pytest

from groups.setbacks import (
    ATTEMPTS_MAX,
    FAILURES_PER_PASS_MAX,
    FIRST_PAUSE_MS,
    PAUSE_MS_MAX,
    SET_ASIDE_PAUSE_MS,
    SecondTries,
    SetbackCount,
    Setbacks,
    count_setbacks,
)
from tests.poison import make_second_tries_due, noted

pytestmark = pytest.mark.anyio

ROWS = [f"row-{n}" for n in range(100)]


class Batches:
    """Does rows but for those at fault; remembers what it did and how often it was asked."""

    def __init__(self, *bad: str, error: Exception | None = None) -> None:
        self.bad = set(bad)
        self.error = error or ValueError("at fault")
        self.done: list[str] = []
        self.calls = 0

    async def work(self, row_ids: Sequence[str]) -> int:
        self.calls += 1
        if self.bad.intersection(row_ids):
            raise self.error
        self.done += row_ids
        return len(row_ids)


async def pause_ms(pool: asyncpg.Pool) -> int:
    """The pause of the only row that is noted."""
    pause: int = await pool.fetchval(
        "SELECT round(extract(epoch FROM look_at - failed_at) * 1000)::int FROM setbacks"
    )
    return pause


async def test_rows_beside_one_that_fails_are_done_in_few_calls(pool: asyncpg.Pool) -> None:
    batches = Batches("row-7", "row-93")
    handled = await Setbacks(pool, "trial").each(ROWS, batches.work)
    assert handled == len(batches.done) == len(ROWS) - 2
    assert sorted([*batches.done, "row-7", "row-93"]) == sorted(ROWS)
    assert await noted(pool) == {"row-7": 1, "row-93": 1}
    assert batches.calls < len(ROWS) / 3


async def test_where_every_row_fails_a_pass_ends_and_notes_what_it_found(pool: asyncpg.Pool) -> None:
    batches = Batches(*ROWS)
    assert await Setbacks(pool, "trial").each(ROWS, batches.work) == 0
    assert batches.calls == FAILURES_PER_PASS_MAX
    found = await noted(pool)
    assert 1 <= len(found) < len(ROWS)


async def test_a_store_that_is_away_says_nothing_about_rows(pool: asyncpg.Pool) -> None:
    batches = Batches("row-0", error=asyncpg.CannotConnectNowError("starting up"))
    with pytest.raises(asyncpg.CannotConnectNowError):
        await Setbacks(pool, "trial").each(ROWS, batches.work)
    assert batches.calls == 1
    assert await noted(pool) == {}


async def test_a_row_is_tried_ever_less_often_and_then_set_aside(
    pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    batches = Batches("row-0")
    await Setbacks(pool, "trial").each(["row-0"], batches.work)
    tries, pauses = SecondTries(pool, {"trial": batches.work}), [await pause_ms(pool)]
    for _ in range(ATTEMPTS_MAX):
        assert await tries.look(10) == 0
        await make_second_tries_due(pool)
        assert await tries.look(10) == 1
        pauses.append(await pause_ms(pool))
    assert pauses[:3] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 4 * FIRST_PAUSE_MS]
    assert pauses[ATTEMPTS_MAX - 2] == PAUSE_MS_MAX
    assert pauses[ATTEMPTS_MAX - 1 :] == [SET_ASIDE_PAUSE_MS] * 2
    assert await count_setbacks(pool) == {"trial": SetbackCount(failing=0, set_aside=1)}
    with_traceback = [record for record in caplog.records if record.exc_info]
    assert len(with_traceback) == 1
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert "set aside" in errors[1]


async def test_a_row_that_goes_well_again_is_forgotten(pool: asyncpg.Pool) -> None:
    batches = Batches("row-0")
    await Setbacks(pool, "trial").each(["row-0"], batches.work)
    batches.bad.clear()
    await make_second_tries_due(pool)
    assert await SecondTries(pool, {"another": batches.work}).look(10) == 0
    assert await SecondTries(pool, {"trial": batches.work}).look(10) == 1
    assert batches.done == ["row-0"]
    assert await noted(pool) == {}


async def test_a_row_that_one_process_tries_is_left_alone_by_others(pool: asyncpg.Pool) -> None:
    await Setbacks(pool, "trial").note({"row-0": ValueError("at fault")})
    await make_second_tries_due(pool)
    inner: list[int] = []

    async def work(row_ids: Sequence[str]) -> int:
        inner.append(await SecondTries(pool, {"trial": work}).look(10))
        return len(row_ids)

    assert await SecondTries(pool, {"trial": work}).look(10) == 1
    assert inner == [0]


async def test_rows_of_queues_that_try_again_by_themselves_are_forgotten_some_time_after_they_failed(
    pool: asyncpg.Pool,
) -> None:
    for sweep in ("payments", "lifecycle"):
        await Setbacks(pool, sweep).note({"row-0": ValueError("at fault"), "row-1": ValueError("too")})
    tries = SecondTries(pool, {"lifecycle": Batches().work})
    assert await tries.forget_stale(10) == 0
    await pool.execute("UPDATE setbacks SET look_at = look_at - interval '11 minutes' WHERE row_id = 'row-0'")
    assert await tries.forget_stale(10) == 1
    assert await pool.fetchval("SELECT count(*) FROM setbacks WHERE sweep = 'payments'") == 1
