"""What the short way of a placing call leaves to the application, and what it sees to the end by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.buying.orders import direct
from tests.acceptance.conftest import serving_app
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import ORDER, Bearer, Shoppers, placed, refused
from tests.interleaving import LOCK_LANE, holding
from tests.market import Market

pytestmark = pytest.mark.anyio


class Passed(list[str]):
    """The paths of placing calls that reached the application."""


@pytest.fixture
def passed() -> Passed:
    return Passed()


@pytest.fixture
async def api(settings: Settings, contract: Contract, passed: Passed) -> AsyncIterator[httpx.AsyncClient]:
    """The API, with an eye on what its application is asked."""
    app = create_app(settings)
    handler = app.asgi_handler

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            passed.append(scope["path"])
        await handler(scope, receive, send)

    app.asgi_handler = noting
    async with serving_app(app, contract) as client:
        yield client


@pytest.fixture
async def deal(shoppers: Shoppers, market: Market, passed: Passed) -> str:
    """A deal that this process has placed somebody in before."""
    deal = await market.deal(max_headcount=50)
    placed(await shoppers.join(deal, "founder"))
    passed.clear()
    return deal


async def test_everybody_of_a_batch_sees_the_group_with_all_its_seats(
    shoppers: Shoppers, market: Market, passed: Passed, deal: str
) -> None:
    crowd = await asyncio.gather(*(shoppers.join(deal, f"buyer-{number}") for number in range(20)))
    assert passed == []
    orders = [placed(response) for response in crowd]
    assert max(order["group"]["held"] for order in orders) == 21
    assert all(order["group"]["held"] >= order["seat"] for order in orders)
    assert len({order["group_id"] for order in orders}) == 1
    assert len(await market.orders(deal_id=deal)) == 21


async def test_a_repeated_key_is_answered_by_the_application(
    shoppers: Shoppers, passed: Passed, deal: str
) -> None:
    first = placed(await shoppers.join(deal, "ann", key="k"))
    assert passed == []
    again = await shoppers.join(deal, "ann", key="k")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert passed == [f"/v1/deals/{deal}/join"]
    refused(await shoppers.join(deal, "ann", key="k", quantity=2), 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("changes", "body", "status"),
    [
        ({"Authorization": "Bearer nonsense"}, "{}", 401),
        ({"Authorization": ""}, "{}", 401),
        ({"Idempotency-Key": ""}, '{"payment_method":"pm_ok"}', 400),
        ({"Content-Type": "text/plain"}, '{"payment_method":"pm_ok"}', 415),
        ({}, '{"payment_method":"pm_unheard_of"}', 400),
        ({}, '{"payment_method":"pm_ok","quantity":0}', 400),
        ({}, '{"payment_method":"pm_ok","more":1}', 400),
        ({}, "not JSON", 400),
        ({}, "", 400),
        ({}, '{"payment_method":"pm_ok","ship_to":{"a":"' + "b" * 70_000 + '"}}', 413),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_not_plainly_right_is_for_the_application(
    shoppers: Shoppers, passed: Passed, deal: str, changes: dict[str, str], body: str, status: int
) -> None:
    path = f"/v1/deals/{deal}/join"
    headers = shoppers.headers("ann") | {"Content-Type": "application/json"} | changes
    answer = await shoppers.api.post(path, content=body, headers=headers)
    assert (answer.status_code, passed) == (status, [path])


async def test_another_role_and_an_unknown_deal_are_for_the_application(
    shoppers: Shoppers, bearer: Bearer, passed: Passed, deal: str
) -> None:
    path = f"/v1/deals/{deal}/join"
    headers = bearer("merchant", "acme") | {"Idempotency-Key": "k"}
    refused(await shoppers.api.post(path, json=ORDER, headers=headers), 403, "forbidden")
    refused(await shoppers.join("deal_nobody_made", "ann"), 404, "not_found")
    assert passed == [path, "/v1/deals/deal_nobody_made/join"]


async def test_on_several_lanes_a_refusal_is_the_applications_to_speak(
    shoppers: Shoppers, market: Market, passed: Passed
) -> None:
    deal = await market.deal(lanes=2, stock=4)
    for number in range(4):
        placed(await shoppers.join(deal, f"buyer-{number}"))
    passed.clear()
    # Its own lane has nothing left, and only somebody who asks both knows that the deal has not.
    refused(await shoppers.join(deal, "late"), 409, "sold_out")
    assert passed == [f"/v1/deals/{deal}/join"]


async def test_a_call_that_waits_too_long_is_told_so_and_its_key_finds_the_order(
    shoppers: Shoppers, passed: Passed, deal: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "PLACE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(direct, "LOOK_EVERY_S", 0.05)
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        answer = await shoppers.join(deal, "ann", key="k")
        assert answer.headers["retry-after"] == "1"
        assert refused(answer, 503, "overloaded")["instance"].endswith(answer.headers["x-request-id"])
        assert passed == []
        await lane.commit()
    assert (await shoppers.join(deal, "ann", key="k")).status_code in (200, 201)


async def test_a_caller_who_hangs_up_takes_nobody_along(
    shoppers: Shoppers, market: Market, passed: Passed, deal: str, database_url: str
) -> None:
    async with holding(database_url, LOCK_LANE, deal, 0) as lane:
        gone = asyncio.create_task(shoppers.join(deal, "ann"))
        stays = asyncio.create_task(shoppers.join(deal, "ben"))
        await lane.waiters(1)
        gone.cancel()
        await asyncio.wait([gone])
        await lane.commit()
        placed(await stays)
    assert passed == []
    assert "ben" in {order["buyer_id"] for order in await market.orders(deal_id=deal)}
