"""The price a statement promises is the one that `pricing` computes, on any ladder."""

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.pricing.ladders import Offer, offers

pytestmark = pytest.mark.anyio

UNIT_PRICES = (
    "SELECT unit_price_at(headcounts::integer[], prices::bigint[], least, headcount) AS price"
    " FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[]) WITH ORDINALITY"
    " AS t (headcounts, prices, least, headcount, n) ORDER BY n"
)


# One pool serves every example: nothing is written.
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(offers(), min_size=10, max_size=30))
async def test_sql_and_pricing_agree_on_every_headcount_of_any_ladder(
    pool: asyncpg.Pool, drawn: list[Offer]
) -> None:
    cases = [(offer, headcount) for offer in drawn for headcount in range(offer.max_headcount + 2)]
    rows = await pool.fetch(
        UNIT_PRICES,
        [array_of([tier.headcount for tier in offer.ladder.tiers]) for offer, _ in cases],
        [array_of([tier.unit_price_minor for tier in offer.ladder.tiers]) for offer, _ in cases],
        [offer.min_headcount for offer, _ in cases],
        [headcount for _, headcount in cases],
    )
    expected = [offer.ladder.unit_price_at(headcount, offer.min_headcount) for offer, headcount in cases]
    assert [row["price"] for row in rows] == expected


def array_of(numbers: list[int]) -> str:
    """An array as Postgres writes it."""
    return "{" + ",".join(map(str, numbers)) + "}"
