"""The document says what is true: its examples fit and work, and a response that differs is noticed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import httpx
import pytest

from tests.acceptance.contract.documented import PROBLEM, Contract
from tests.acceptance.shoppers import Bearer, Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

PLACING = (
    "/v1/deals/{deal_id}/join",
    "/v1/deals/{deal_id}/groups",
    "/v1/deals/{deal_id}/buy",
    "/v1/groups/{group_id}/join",
)


def request_example(contract: Contract, path: str) -> dict[str, Any]:
    media = contract.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    example: dict[str, Any] = deepcopy(media["example"])
    return example


def test_every_parameter_is_required_where_it_must_be(contract: Contract) -> None:
    for path, item in contract.document["paths"].items():
        for method, operation in item.items():
            for parameter in operation.get("parameters", []):
                where = f"{method} {path} {parameter['name']}"
                assert parameter["schema"], where
                if parameter["in"] == "path" or parameter["name"] == "Idempotency-Key":
                    assert parameter["required"], where


def test_calls_that_place_or_release_a_seat_name_their_key(contract: Contract) -> None:
    for path in (*PLACING, "/v1/orders/{order_id}/cancel"):
        operation = contract.document["paths"][path]["post"]
        assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
        codes = {
            code
            for response in operation["responses"].values()
            for code in response["content"].get("application/problem+json", {}).get("examples", {})
        }
        assert {"idempotency_key_missing", "idempotency_key_reused", "idempotency_in_flight"} <= codes


async def test_the_examples_of_products_and_deals_can_be_sent_as_they_are(
    api: httpx.AsyncClient, contract: Contract, bearer: Bearer
) -> None:
    merchant = bearer("merchant", "teahouse")
    product = await api.post("/v1/products", json=request_example(contract, "/v1/products"), headers=merchant)
    assert product.status_code == 201, product.text
    deal = request_example(contract, "/v1/deals") | {"variant_id": product.json()["variants"][0]["id"]}
    made = await api.post("/v1/deals", json=deal, headers=merchant)
    assert made.status_code == 201, made.text


@pytest.mark.parametrize("path", PLACING)
async def test_the_examples_of_orders_can_be_sent_as_they_are(
    shoppers: Shoppers, contract: Contract, market: Market, path: str
) -> None:
    deal = await market.deal()
    group = placed(await shoppers.open(deal, "host"))["group_id"]
    response = await shoppers.api.post(
        path.format(deal_id=deal, group_id=group),
        json=request_example(contract, path),
        headers=shoppers.headers("ann"),
    )
    placed(response)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/health/live", 418, {"status": "live"}),
        ("GET", "/health/live", 200, {"status": "live", "mood": "fine"}),
        ("GET", "/v1/deals", 200, {"items": []}),
        ("GET", "/v1/nothing", 200, {}),
        ("GET", "/v1/nothing", 404, {"error": "no"}),
        ("PUT", "/health/live", 200, {"status": "live"}),
        ("GET", "/v1/deals", 200, {"items": [{}], "next_cursor": None}),
    ],
)
async def test_a_response_that_is_not_documented_is_noticed(
    contract: Contract, method: str, path: str, status: int, body: object
) -> None:
    response = httpx.Response(status, json=body, request=httpx.Request(method, f"http://api{path}"))
    with pytest.raises(AssertionError):
        await contract.check(response)


@pytest.mark.parametrize(
    "time",
    ["2030-01-01 12:00:00Z", "2030-01-01T12:00:00+00:00", "2030-01-01", "soon", "2030-13-01T12:00:00Z"],
)
def test_times_are_rfc_3339_in_utc(contract: Contract, time: str) -> None:
    schema = {"type": "string", "format": "date-time"}
    contract.validate(schema, "2030-01-01T12:00:00Z")
    contract.validate(schema, "2030-01-01T12:00:00.123456Z")
    with pytest.raises(AssertionError):
        contract.validate(schema, time)


def test_a_problem_with_a_field_of_its_own_is_noticed(contract: Contract) -> None:
    problem = {
        "type": "/docs/problems#invalid",
        "title": "t",
        "status": 400,
        "detail": "d",
        "code": "invalid",
    }
    contract.validate(PROBLEM, problem)
    for wrong in (problem | {"extra": 1}, problem | {"code": "no_such_code"}, problem | {"status": "400"}):
        with pytest.raises(AssertionError):
            contract.validate(PROBLEM, wrong)
