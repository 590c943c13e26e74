"""Whatever a client sends, the answer is one the contract knows, and never the server's fault."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.shoppers import Bearer
from tests.market import Market

pytestmark = pytest.mark.anyio

EXAMPLES_MAX = 80
_numbers = itertools.count()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["pm_ok", "pm_ok:card-7", "\0", "\ud800", "\u2028", "x" * 300])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.integers(-1, 3) | values,
        "payment_method": st.just("pm_ok") | values,
        "invite_code": st.text(alphabet="abc-_\n\0", max_size=5) | values,
        "ship_to": st.dictionaries(st.text(max_size=8), values, max_size=4) | values,
        "other": values,
    },
)
documents = (bodies | values).map(lambda value: json.dumps(value).encode())
keys = st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=300)


@settings(
    max_examples=EXAMPLES_MAX,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=documents | st.binary(max_size=200), key=keys)
async def test_no_body_and_no_key_is_the_servers_fault(
    api: httpx.AsyncClient, market: Market, bearer: Bearer, content: bytes, key: str
) -> None:
    deal = await _deal_of(market)
    headers: dict[bytes, bytes] = {
        b"Authorization": bearer("buyer", f"buyer-{next(_numbers)}")["Authorization"].encode(),
        b"Idempotency-Key": key.strip().encode("latin-1"),
        b"Content-Type": b"application/json",
    }
    response = await api.post(f"/v1/deals/{deal}/join", content=content, headers=headers)
    assert response.status_code in (200, 201, 400, 409), (response.status_code, response.text)


async def _deal_of(market: Market) -> Any:
    """The one deal of all examples of a run."""
    known = await market.pool.fetchval("SELECT id FROM deals")
    return known or await market.deal(stock=100_000, per_buyer=3)
