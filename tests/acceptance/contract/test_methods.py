"""HEAD, OPTIONS, methods that are not allowed, query parameters nobody knows, and clients that hang up."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import structlog

from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_head_answers_what_get_does_without_the_content(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    deal = await market.deal()
    order = placed(await shoppers.join(deal, "ann"))
    paths = ["/health/live", "/v1/deals?limit=1", f"/v1/deals/{deal}", "/v1/deals/none", "/docs"]
    paths += [f"/v1/groups/{order['group_id']}", f"/v1/orders/{order['id']}", "/v1/orders", "/v1/nothing"]
    for path in paths:
        seen = await api.get(path, headers=bearer("buyer", "ann"))
        head = await api.head(path, headers=bearer("buyer", "ann"))
        assert (head.status_code, head.content) == (seen.status_code, b""), path
        for name in ("content-type", "content-length", "etag"):
            # A group tells the server's time, whose length varies with its fraction.
            if name != "content-length" or "server_time" not in seen.text:
                assert head.headers.get(name) == seen.headers.get(name), (path, name)


async def test_head_of_a_stream_ends(api: httpx.AsyncClient, shoppers: Shoppers, market: Market) -> None:
    order = placed(await shoppers.join(await market.deal(), "ann"))
    head = await api.head(f"/v1/groups/{order['group_id']}/events")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_head_is_asked_of_the_metrics_as_the_route_it_is(api: httpx.AsyncClient) -> None:
    await api.head("/v1/deals/none")
    metrics = (await api.get("/metrics")).text
    assert 'method="HEAD",route="/v1/deals/{deal_id}"' in metrics


async def test_what_was_made_is_where_the_answer_says(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, contract: Contract, bearer: Bearer
) -> None:
    deal = await market.deal()
    made = [await shoppers.open(deal, "ann"), await shoppers.buy(deal, "ann")]
    examples = contract.document["paths"]["/v1/products"]["post"]["requestBody"]["content"]
    body = examples["application/json"]["example"]
    made.append(await api.post("/v1/products", json=body, headers=bearer("merchant", "acme")))
    for response in made:
        found = await api.get(response.headers["location"], headers=bearer("buyer", "ann"))
        assert (found.status_code, found.json()["id"]) == (200, response.json()["id"])
    again = await shoppers.open(deal, "bea", key="k")
    assert "location" in again.headers
    assert "location" not in (await shoppers.open(deal, "bea", key="k")).headers


async def test_options_names_every_method_of_a_path(api: httpx.AsyncClient, contract: Contract) -> None:
    for path, item in contract.document["paths"].items():
        expected = {method.upper() for method in item} | {"OPTIONS"}
        expected |= {"HEAD"} if "GET" in expected else set()
        response = await api.options(path.replace("{", "").replace("}", ""))
        assert response.status_code == 204, path
        assert response.headers["allow"] == ", ".join(sorted(expected)), path


async def test_a_method_a_path_does_not_have_is_answered_with_those_it_has(
    api: httpx.AsyncClient, contract: Contract
) -> None:
    for path, item in contract.document["paths"].items():
        target = path.replace("{", "").replace("}", "")
        allowed = (await api.options(target)).headers["allow"]
        for method in {"get", "head", "put", "patch", "post", "delete"} - set(item):
            if method == "head" and "get" in item:
                continue
            response = await api.request(method.upper(), target)
            assert response.status_code == 405, (method, path)
            assert response.headers["allow"] == allowed, (method, path)
            if method != "head":
                refused(response, 405, "method_not_allowed")


async def test_a_query_parameter_nobody_knows_is_named(api: httpx.AsyncClient) -> None:
    problem = refused(await api.get("/v1/deals?limit=2&stauts=active&x="), 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["stauts", "x"]
    problem = refused(await api.get("/v1/deals/none?limit=2"), 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["limit"]
    problem = refused(await api.get("/v1/deals?limit=2&limit=3"), 400, "invalid")
    assert problem["errors"] == [{"field": "limit", "message": "is given more than once"}]
    problem = refused(await api.get("/v1/deals?status=null"), 400, "invalid")
    assert problem["errors"] == [{"field": "status", "message": "is not a value of this parameter"}]
    crowd = "&".join(f"p{number}=1" for number in range(65))
    refused(await api.get(f"/v1/deals?{crowd}"), 400, "invalid")


async def test_a_call_without_parameters_refuses_one_as_documented(
    api: httpx.AsyncClient, contract: Contract, bearer: Bearer
) -> None:
    paths = contract.document["paths"]
    bare = [path for path in paths if path.startswith("/v1/") and "get" in paths[path] and "{" not in path]
    bare = [path for path in bare if not paths[path]["get"].get("parameters")]
    assert "/v1/me" in bare
    for path in bare:
        for role in ("buyer", "merchant"):
            refused(await api.get(f"{path}?x=1", headers=bearer(role, "ann")), 400, "invalid")


@pytest.mark.parametrize(
    "time", ["0.5", "1767225600", "null", "", "2030-01-01", "2030-01-01T12:00:00", "2030-13-01T12:00:00Z"]
)
async def test_a_time_in_a_query_has_an_offset(api: httpx.AsyncClient, bearer: Bearer, time: str) -> None:
    path = "/v1/merchant/orders"
    merchant = bearer("merchant", "acme")
    problem = refused(await api.get(path, params={"created_to": time}, headers=merchant), 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["created_to"]
    for right in ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00.5+02:00"):
        response = await api.get(path, params={"created_to": right}, headers=merchant)
        assert response.status_code == 200, response.text


async def test_pages_ignore_parameters_that_links_pick_up_on_the_way(api: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/problems", "/health/live"):
        assert (await api.get(f"{path}?utm_source=chat")).status_code == 200


async def test_a_client_that_hangs_up_within_its_body_is_no_fault_of_the_server(
    api: httpx.AsyncClient, bearer: Bearer
) -> None:
    token = bearer("merchant", "acme")["Authorization"]
    head = (
        "POST /v1/products HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        f"Authorization: {token}\r\nContent-Length: 100\r\n\r\n{{"
    )

    async def is_counted() -> bool:
        metrics = (await api.get("/metrics")).text
        return 'method="POST",route="/v1/products",status="499"' in metrics

    with structlog.testing.capture_logs() as logs:
        _, writer = await asyncio.open_connection(api.base_url.host, api.base_url.port)
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await until(is_counted)
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []
