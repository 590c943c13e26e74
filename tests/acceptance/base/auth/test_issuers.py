"""Callers with a token of an issuer the operator trusts, over HTTP and with the issuer's real key server."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from pintuan.base.auth.trusted_issuer import read_trusted_issuers
from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, placed, refused
from tests.issuer import KeyServer, SigningKey, claims, key_server
from tests.market import Market

pytestmark = pytest.mark.anyio

FIRST, SECOND = SigningKey.new("first", "RS256"), SigningKey.new("second", "EdDSA")
PRODUCT: dict[str, Any] = {
    "title": "Kettle",
    "variants": [{"sku": "K-1", "title": "Red", "list_price": {"amount": 1999, "currency": "USD"}}],
}


@pytest.fixture
async def key_host() -> AsyncIterator[KeyServer]:
    async with key_server(FIRST) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, key_host: KeyServer) -> Settings:
    """The usual ones, and two issuers that share a key server: one for shoppers, one for staff."""
    staff = {
        "name": "staff",
        "issuer": "https://staff.example",
        "roles": ["merchant"],
        "role_claim": "groups",
    }
    entries = json.dumps([key_host.entry(), key_host.entry(**staff)])
    return msgspec.structs.replace(settings, trusted_issuers=read_trusted_issuers(entries))


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_shopper_of_another_issuer_is_a_buyer_here(api: httpx.AsyncClient) -> None:
    theirs = header(FIRST.sign(claims()))

    assert (await api.get("/v1/orders", headers=theirs)).json()["items"] == []
    refused(await api.post("/v1/products", json=PRODUCT, headers=theirs), 403, "forbidden")


async def test_a_shopper_of_another_issuer_joins_a_deal(api: httpx.AsyncClient, market: Market) -> None:
    theirs = header(FIRST.sign(claims()))
    deal = await market.deal()
    body = {"quantity": 1, "payment_method": "pm_ok"}

    joined = await api.post(f"/v1/deals/{deal}/join", json=body, headers=theirs | {"Idempotency-Key": "once"})

    order = placed(joined)
    assert (await api.get(f"/v1/orders/{order['id']}", headers=theirs)).json()["id"] == order["id"]


async def test_staff_of_another_issuer_sell_under_the_issuers_name(api: httpx.AsyncClient) -> None:
    token = FIRST.sign(claims(iss="https://staff.example", sub="acme", groups=["x", "merchant"]))

    response = await api.post("/v1/products", json=PRODUCT, headers=header(token))

    assert response.status_code == 201
    assert response.json()["merchant_id"] == "staff|acme"


async def test_a_subject_of_another_issuer_is_never_one_of_ours(
    api: httpx.AsyncClient, bearer: Bearer
) -> None:
    ours = await api.post("/v1/products", json=PRODUCT, headers=bearer("merchant", "acme"))
    token = FIRST.sign(claims(iss="https://staff.example", sub="acme", groups="merchant"))
    deal = {
        "variant_id": ours.json()["variants"][0]["id"],
        "ladder": [{"headcount": 2, "unit_price": 900}],
        "min_headcount": 2,
        "max_headcount": 3,
        "group_ttl_seconds": 60,
        "stock": 10,
        "per_buyer_units": 1,
    }

    refused(await api.post("/v1/deals", json=deal, headers=header(token)), 404, "not_found")


async def test_a_token_nobody_trusted_signed_is_refused(api: httpx.AsyncClient, key_host: KeyServer) -> None:
    for token in (
        SigningKey.new("first", "RS256").sign(claims()),
        FIRST.sign(claims(iss="https://elsewhere.example")),
        FIRST.sign(claims(aud="another")),
        FIRST.sign(claims(now_s=1_000_000)),
    ):
        problem = refused(await api.get("/v1/deals", headers=header(token)), 401, "unauthenticated")
        assert key_host.url not in problem["detail"]


async def test_the_issuers_next_key_is_taken_and_its_last_one_forgotten(
    api: httpx.AsyncClient, key_host: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.UNKNOWN_KID_INTERVAL_S", 0.0)
    before, after = header(FIRST.sign(claims())), header(SECOND.sign(claims()))
    assert (await api.get("/v1/orders", headers=before)).status_code == 200

    key_host.keys = [SECOND]

    assert (await api.get("/v1/orders", headers=after)).status_code == 200
    refused(await api.get("/v1/orders", headers=before), 401, "unauthenticated")


async def test_an_issuer_that_is_down_stops_neither_known_callers_nor_ours(
    api: httpx.AsyncClient, key_host: KeyServer, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.key_set.UNKNOWN_KID_INTERVAL_S", 0.0)
    known = header(FIRST.sign(claims()))
    assert (await api.get("/v1/orders", headers=known)).status_code == 200

    key_host.status = "500 Internal Server Error"

    unknown = await api.get("/v1/orders", headers=header(SECOND.sign(claims())))
    refused(unknown, 503, "overloaded")
    assert unknown.headers["retry-after"]
    assert (await api.get("/v1/orders", headers=known)).status_code == 200
    new_here = header(FIRST.sign(claims(sub="bob")))
    assert (await api.get("/v1/orders", headers=new_here)).status_code == 200
    assert (await api.get("/v1/orders", headers=bearer("buyer", "ann"))).status_code == 200


async def test_an_api_starts_without_its_issuers(
    settings: Settings, contract: Contract, key_host: KeyServer, bearer: Bearer
) -> None:
    key_host.released.clear()
    async with serving(settings, contract) as api:
        assert (await api.get("/v1/orders", headers=bearer("buyer", "ann"))).status_code == 200
        key_host.released.set()
        assert (await api.get("/v1/orders", headers=header(FIRST.sign(claims())))).status_code == 200
