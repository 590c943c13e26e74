"""Who may place, see and cancel an order, and what anybody else is told."""

from __future__ import annotations

import time

import httpx
import pytest

from pintuan.base.auth.tokens import LIFETIME_S, TokenIssuer
from pintuan.base.keyring import Keyring
from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import Settings
from tests.acceptance.shoppers import ORDER, Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

# As they stand in a path.
NO_IDS = [
    "%00",
    "grp_%00",
    "x" * 4_000,
    "..",
    "%2e%2e",
    "%ff",
    "%ed%a0%80",
    "中",
    "%20",
    "'--",
    "%25s",
    "{}",
    "a:b",
    "*",
    "%F0%9F%98%80",
]


@pytest.fixture
async def order(market: Market, shoppers: Shoppers) -> dict[str, str]:
    """An order that Ann has placed."""
    return placed(await shoppers.open(await market.deal(), "ann"))


def calls_of_buyers(order: dict[str, str]) -> list[tuple[str, str]]:
    placing = [f"/v1/deals/{order['deal_id']}/{call}" for call in ("join", "groups", "buy")]
    placing.append(f"/v1/groups/{order['group_id']}/join")
    return [
        *(("POST", path) for path in placing),
        ("POST", f"/v1/orders/{order['id']}/cancel"),
        ("GET", f"/v1/orders/{order['id']}"),
        ("GET", "/v1/orders"),
    ]


async def call(api: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    body = ORDER if method == "POST" and not path.endswith("/cancel") else None
    return await api.request(method, path, json=body, headers=headers | {"Idempotency-Key": "k"})


async def test_a_caller_without_a_token_is_asked_for_one(
    api: httpx.AsyncClient, order: dict[str, str]
) -> None:
    for method, path in calls_of_buyers(order):
        refused(await call(api, method, path, {}), 401, "unauthenticated")


async def test_merchants_and_admins_are_no_buyers(
    api: httpx.AsyncClient, bearer: Bearer, order: dict[str, str]
) -> None:
    for method, path in calls_of_buyers(order):
        refused(await call(api, method, path, bearer("merchant", "acme")), 403, "forbidden")
        refused(await call(api, method, path, bearer("admin", "ann")), 403, "forbidden")


async def test_expired_and_forged_tokens_are_refused(
    api: httpx.AsyncClient, bearer: Bearer, order: dict[str, str]
) -> None:
    token = bearer("buyer", "ann")["Authorization"].removeprefix("Bearer ")
    head, claims, signature = token.split(".")
    forgeries = [
        TokenIssuer(Keyring("somebody else's key")).issue("ann", "buyer", now_s=time.time()),
        f"{head}.{claims}.{signature[::-1]}",
        f"{head}.{claims}.",
        f"{head}.{claims}",
        token + "x" * 5_000,
        "null",
        "é",
    ]
    for method, path in calls_of_buyers(order):
        for forgery in forgeries:
            authorization = f"Bearer {forgery}".encode("latin-1")
            response = await api.request(
                method, path, headers={b"Authorization": authorization, b"Idempotency-Key": b"k"}
            )
            refused(response, 401, "unauthenticated")


async def test_a_token_ends_when_it_says(
    api: httpx.AsyncClient, settings: Settings, order: dict[str, str]
) -> None:
    issuer = TokenIssuer(keyring_of(settings))
    stale = issuer.issue("ann", "buyer", now_s=time.time() - LIFETIME_S - 60)
    response = await api.get(f"/v1/orders/{order['id']}", headers={"Authorization": f"Bearer {stale}"})
    refused(response, 401, "unauthenticated")


async def test_somebody_elses_order_is_not_there(
    api: httpx.AsyncClient, shoppers: Shoppers, bearer: Bearer, order: dict[str, str]
) -> None:
    path = f"/v1/orders/{order['id']}"
    theirs = refused(await api.get(path, headers=bearer("buyer", "bob")), 404, "not_found")
    nobodys = refused(await api.get("/v1/orders/ord_0", headers=bearer("buyer", "bob")), 404, "not_found")
    assert theirs == nobodys
    refused(await shoppers.cancel(order["id"], "bob"), 404, "not_found")
    assert (await api.get("/v1/orders", headers=bearer("buyer", "bob"))).json()["items"] == []
    own = await api.get(path, headers=bearer("buyer", "ann"))
    assert (own.status_code, own.json()["status"]) == (200, "held")


async def test_unknown_deals_groups_and_orders_are_not_found(shoppers: Shoppers) -> None:
    for response in (
        await shoppers.join("deal_0", "ann"),
        await shoppers.open("deal_0", "ann"),
        await shoppers.buy("deal_0", "ann"),
        await shoppers.join_group("grp_0", "ann"),
        await shoppers.cancel("ord_0", "ann"),
    ):
        refused(response, 404, "not_found")


async def test_an_id_that_is_none_is_not_found(
    api: httpx.AsyncClient, shoppers: Shoppers, bearer: Bearer
) -> None:
    for identifier in NO_IDS:
        for path in ("deals/{}", "groups/{}", "orders/{}", "share/{}", "deals/{}/groups", "products/{}"):
            response = await api.get("/v1/" + path.format(identifier), headers=bearer("buyer", "ann"))
            refused(response, 404, "not_found")
        for path in ("deals/{}/join", "deals/{}/groups", "deals/{}/buy", "groups/{}/join"):
            refused(await shoppers.post("/v1/" + path.format(identifier), "ann"), 404, "not_found")
        refused(await shoppers.cancel(identifier, "ann"), 404, "not_found")
        for path in ("deals/{}/pause", "deals/{}/resume", "deals/{}/end"):
            response = await api.post("/v1/" + path.format(identifier), headers=bearer("merchant", "acme"))
            refused(response, 404, "not_found")


async def test_buyers_of_any_printable_name_are_served(shoppers: Shoppers, market: Market) -> None:
    deal = await market.deal(max_headcount=10, stock=10)
    for name in ("Zoë 😀", "a:b:c", "{x}", "x" * 128, "中" * 128, "'; --", "\\u0000", "0"):
        order = placed(await shoppers.join(deal, name))
        assert (await market.order(order["id"]))["buyer_id"] == name
