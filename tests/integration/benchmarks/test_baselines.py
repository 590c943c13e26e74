"""What joins are compared with, served beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from benchmarks.environment import open_stores, serving
from benchmarks.flash import make_naive_table
from benchmarks.market import BODY, client_of, open_market
from pintuan.buying.groups.schemas import Order

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CREATED = 201
# Of the headers, a created order has its place beside.
PLACE = "location"


async def test_they_take_and_answer_what_a_join_does_behind_the_same_layers(own_directory: Path) -> None:
    async with (
        open_stores(own_directory) as stores,
        serving(stores) as servers,
        client_of(servers) as http,
    ):
        await make_naive_table(stores)
        market = await open_market(servers, http)
        deal_id, (token,) = await market.new_deal(), market.tokens("ann", 1)
        known = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        headers = {"Content-Type": "application/json"}

        join = await http.post(f"/v1/deals/{deal_id}/join", content=BODY, headers=headers | known)
        hello = await http.post("/bench/hello", content=BODY, headers=headers)
        naive = await http.post(f"/bench/naive/{deal_id}/join", content=BODY, headers=headers | known)
        stranger = await http.post(f"/bench/naive/{deal_id}/join", content=BODY, headers=headers)
        misspelt = await http.post("/bench/hello", content=b'{"quantity":"1"}', headers=headers)
        assert stores.settings.rate_limits
        assert stores.settings.env == "production"

    for answer in (join, hello, naive):
        assert answer.status_code == CREATED
        assert msgspec.json.decode(answer.content, type=Order).group is not None
        assert len(answer.content) == pytest.approx(len(join.content), rel=0.02)
        assert set(answer.headers) - {PLACE} == set(join.headers) - {PLACE}
    assert naive.headers[PLACE] == f"/v1/orders/{naive.json()['id']}"
    assert (naive.json()["seat"], naive.json()["group"]["held"]) == (1, 1)
    assert (stranger.status_code, misspelt.status_code) == (401, 400)
