"""A plain call that places is answered without the application, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.buying.orders.direct import DirectPlacing
from tests.acceptance.conftest import serving_app
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import ORDER, Shoppers
from tests.market import Market

pytestmark = pytest.mark.anyio

PLAIN = "application/json"
BY_THE_ROUTE = "application/json; charset=utf-8"
"""Means the same, and is not plain enough to be read without the application."""
VARYING = re.compile(
    r'"(ord|grp|deal)_[0-9a-f]+"|"\d{4}-\d\d-\d\dT[0-9:.]+Z"|/g/[\w-]+|"share_code":"[\w-]+"'
)


class Counting(DirectPlacing):
    """Counts the calls it took on."""

    taken = 0

    def begin(self, call: Any) -> bool:
        took = super().begin(call)
        self.taken += took
        return took


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Litestar:
    monkeypatch.setattr("pintuan.app.DirectPlacing", Counting)
    return create_app(settings)


@pytest.fixture
async def api(app: Litestar, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    async with serving_app(app, contract) as client:
        yield client


def taken(app: Litestar) -> int:
    placing = app.state.direct_placing
    assert isinstance(placing, Counting)
    return placing.taken


def likeness(response: httpx.Response) -> tuple[int, dict[str, str], str]:
    """What two answers to calls that differ in nothing but the buyer have in common."""
    own = {"x-request-id", "date", "content-length", "location"}
    headers = {name: value for name, value in response.headers.items() if name not in own}
    assert response.headers["x-request-id"]
    if response.status_code == 201:
        assert response.headers["location"] == f"/v1/orders/{response.json()['id']}"
    return response.status_code, headers, VARYING.sub("…", response.text)


@pytest.mark.parametrize("verb", ["join", "groups", "buy"])
async def test_both_ways_answer_alike(app: Litestar, shoppers: Shoppers, market: Market, verb: str) -> None:
    answers = []
    for kind in (PLAIN, BY_THE_ROUTE):
        deal = await market.deal()
        # The first buyer makes the deal's lane known to the process.
        assert (await shoppers.join(deal, "first")).status_code == 201
        before = taken(app)
        answers.append(likeness(await place(shoppers, f"/v1/deals/{deal}/{verb}", "ann", kind)))
        assert taken(app) - before == (kind == PLAIN)
    assert answers[0][0] == 201
    assert answers[0] == answers[1]


async def place(shoppers: Shoppers, path: str, buyer: str, kind: str) -> httpx.Response:
    headers = shoppers.headers(buyer) | {"Content-Type": kind}
    return await shoppers.api.post(path, content=json.dumps(ORDER), headers=headers)


async def test_refusals_are_alike(app: Litestar, shoppers: Shoppers, market: Market) -> None:
    full, sold_out = await market.deal(min_headcount=2, max_headcount=2), await market.deal(stock=1)
    group = (await shoppers.open(full, "ann")).json()["group_id"]
    assert (await shoppers.join_group(group, "bob")).status_code == 201
    assert (await shoppers.join(sold_out, "cid")).status_code == 201
    calls = {
        "group_full": (f"/v1/groups/{group}/join", "dan"),
        "already_joined": (f"/v1/groups/{group}/join", "bob"),
        "sold_out": (f"/v1/deals/{sold_out}/join", "dan"),
        "not_found": ("/v1/groups/grp_nothing/join", "dan"),
    }
    for code, (path, buyer) in calls.items():
        direct, routed = [await place(shoppers, path, buyer, kind) for kind in (PLAIN, BY_THE_ROUTE)]
        assert direct.json()["code"] == code
        assert likeness(direct) == likeness(routed)
    assert taken(app) > 0


async def test_pieces_and_pipelines_are_answered_in_order(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market
) -> None:
    deal = await market.deal(max_headcount=20)
    assert (await shoppers.join(deal, "first")).status_code == 201
    reader, writer = await asyncio.open_connection(api.base_url.host, api.base_url.port)
    body = json.dumps(ORDER).encode()

    def request(buyer: str) -> bytes:
        lines = shoppers.headers(buyer) | {"Content-Type": "application/json"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        start = (
            f"POST /v1/deals/{deal}/join HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        )
        return start.encode() + body

    sent = (
        request("b-1") + b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n" + request("b-2") + request("b-2")
    )
    for start in range(0, len(sent), 97):
        writer.write(sent[start : start + 97])
        await writer.drain()
        await asyncio.sleep(0)
    statuses = []
    for _ in range(4):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        statuses.append(int(head.split(" ")[1]))
        await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
    writer.close()
    assert statuses == [201, 200, 201, 409]
