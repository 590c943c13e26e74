"""The price rules that stand in SQL say what `pricing` says."""

from __future__ import annotations

import asyncpg
import pytest

from pricing.ladder import InvalidLadder, Ladder

pytestmark = pytest.mark.anyio

LADDERS = [[(1, 999)], [(2, 900), (5, 800), (10, 700)], [(3, 900), (4, 1)]]
STEPS = [
    *LADDERS,
    [],
    [(2, 900), (2, 800)],
    [(3, 900), (2, 800)],
    [(2, 900), (5, 900)],
    [(2, 900), (5, 950)],
    [(0, 900)],
    [(2, 0)],
    [(2, 1000)],
    [(2, 900), (11, 800)],
    [(n, 999 - n) for n in range(1, 52)],
]


@pytest.mark.parametrize("steps", LADDERS, ids=str)
async def test_the_unit_price_is_the_same_in_sql(pool: asyncpg.Pool, steps: list[tuple[int, int]]) -> None:
    ladder = Ladder.of(steps)
    cases = [(least, count) for least in range(steps[0][0], 12) for count in range(13)]

    prices = await pool.fetch(
        "SELECT unit_price_at($1, $2, least, count) AS price"
        " FROM unnest($3::integer[], $4::integer[]) WITH ORDINALITY AS t (least, count, n) ORDER BY n",
        [headcount for headcount, _ in steps],
        [price for _, price in steps],
        [least for least, _ in cases],
        [count for _, count in cases],
    )

    assert [row["price"] for row in prices] == [ladder.unit_price_at(count, least) for least, count in cases]


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize(("least", "most"), [(2, 10), (3, 10), (3, 4)])
async def test_sql_accepts_the_ladders_that_pricing_accepts(
    pool: asyncpg.Pool, steps: list[tuple[int, int]], least: int, most: int
) -> None:
    accepted = await pool.fetchval(
        "SELECT ladder_is_valid($1::integer[], $2::bigint[], $3, $4, 1000)",
        [headcount for headcount, _ in steps],
        [price for _, price in steps],
        least,
        most,
    )

    try:
        Ladder.parse(steps, min_headcount=least, max_headcount=most, list_price_minor=1000)
    except InvalidLadder:
        # A CHECK lets NULL pass, so only a plain false refuses.
        assert accepted is False
    else:
        assert accepted is True
