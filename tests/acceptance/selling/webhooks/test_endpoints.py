"""Merchants' webhook endpoints over HTTP: made, changed, tried, read and theirs alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pintuan.base.auth import Role
from pintuan.base.events.jobs import hearing
from pintuan.base.jobs.process_jobs import ProcessJobs, open_jobs
from pintuan.base.settings.settings import Settings
from pintuan.bootstrap import open_resources
from pintuan.client import every, open_client
from pintuan.selling.webhooks import service
from pintuan.selling.webhooks.jobs import Jobs
from pintuan.selling.webhooks.limits import ENDPOINTS_PER_MERCHANT_MAX, LIVE_SECRETS_MAX
from pintuan.selling.webhooks.rates import REPLAYS_PER_ENDPOINT
from pintuan.selling.webhooks.reactions import REACTIONS
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint, Replay, WebhookEndpointChange
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, refused
from tests.receiver import receiving
from tests.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.anyio

PATH = "/v1/webhook-endpoints"
URL = "https://hooks.example.com/pintuan"


@pytest.fixture
def acme(bearer: Bearer) -> dict[str, str]:
    return bearer("merchant", "acme")


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[ProcessJobs]:
    """What a worker process does about webhooks."""
    hears = hearing({"webhooks": REACTIONS})
    async with open_resources(settings) as resources, open_jobs(resources, [Jobs, hears]) as jobs:
        yield jobs


async def make(api: httpx.AsyncClient, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"url": URL} | fields, headers=headers)
    assert response.status_code == 201, response.text
    endpoint: dict[str, Any] = response.json()
    return endpoint


async def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(
    api: httpx.AsyncClient, acme: dict[str, str], pool: asyncpg.Pool
) -> None:
    made = await make(api, acme, events=["order.captured", "order.captured"], description="fulfilment")
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["status"], made["description"]) == (
        ["order.captured"],
        "enabled",
        "fulfilment",
    )
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert (await api.get(f"{PATH}/{made['id']}", headers=acme)).json() == shown
    assert (await api.get(PATH, headers=acme)).json() == {"items": [shown], "next_cursor": None}
    assert made["secret"].encode() not in await pool.fetchval("SELECT sealed FROM webhook_secrets")


async def test_an_api_key_may_do_all_of_it(api: httpx.AsyncClient, acme: dict[str, str]) -> None:
    key = (await api.post("/v1/merchant/api-keys", json={"name": "sync"}, headers=acme)).json()["key"]
    made = await make(api, {"Authorization": f"Bearer {key}"})
    assert (await api.get(f"{PATH}/{made['id']}", headers=acme)).status_code == 200


async def test_what_is_changed_is_changed_and_the_rest_stays(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    path = f"{PATH}/{(await make(api, acme, events=['group.opened']))['id']}"
    for change, expected in (
        ({"url": "https://hooks.example.com/other"}, {"url": "https://hooks.example.com/other"}),
        ({"events": None, "description": "all"}, {"events": None, "description": "all"}),
        ({"enabled": False}, {"status": "disabled"}),
        ({"enabled": True}, {"status": "enabled", "events": None, "description": "all"}),
        ({}, {"status": "enabled"}),
    ):
        response = await api.patch(path, json=change, headers=acme)
        assert response.status_code == 200, response.text
        assert expected.items() <= response.json().items()
    assert (await api.delete(path, headers=acme)).status_code == 204
    refused(await api.get(path, headers=acme), 404, "not_found")
    refused(await api.delete(path, headers=acme), 404, "not_found")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "url"),
        ({"url": "https://user:word@hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com:22/"}, "url"),
        ({"url": "https://hooks.example.com/\u0001"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://hooks.example.com/" + "x" * 2000}, "url"),
        ({"events": []}, "events"),
        ({"events": ["order.held"]}, "events[0]"),
        ({"events": ["ping"]}, "events[0]"),
        ({"description": "a\nb"}, "description"),
        ({"description": "\n"}, "description"),
        ({"description": "x" * 201}, "description"),
        ({"enabled": True}, "enabled"),
    ],
)
async def test_an_endpoint_that_does_not_fit_is_refused_by_field(
    api: httpx.AsyncClient, acme: dict[str, str], fields: dict[str, Any], field: str
) -> None:
    problem = refused(await api.post(PATH, json={"url": URL} | fields, headers=acme), 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]
    if field == "url":
        made = await make(api, acme)
        refused(await api.patch(f"{PATH}/{made['id']}", json=fields, headers=acme), 400, "invalid")


async def test_production_takes_no_url_of_this_machine(
    settings: Settings, contract: Contract, acme: dict[str, str]
) -> None:
    async with serving(msgspec.structs.replace(settings, env="production"), contract) as api:
        for url in ("http://127.0.0.1:9000/", "https://127.0.0.1:9000/", "https://localhost:9000/"):
            problem = refused(await api.post(PATH, json={"url": url}, headers=acme), 400, "invalid")
            assert problem["errors"][0]["field"] == "url"
        await make(api, acme)


async def test_a_merchant_has_no_more_endpoints_than_the_limit_even_at_once(
    api: httpx.AsyncClient, acme: dict[str, str], bearer: Bearer
) -> None:
    count = ENDPOINTS_PER_MERCHANT_MAX + 3
    answers = await asyncio.gather(*(api.post(PATH, json={"url": URL}, headers=acme) for _ in range(count)))
    assert sorted(answer.status_code for answer in answers) == [201] * ENDPOINTS_PER_MERCHANT_MAX + [409] * 3
    refused(await api.post(PATH, json={"url": URL}, headers=acme), 409, "limit_reached")
    await make(api, bearer("merchant", "globex"))
    first = (await api.get(f"{PATH}?limit=7", headers=acme)).json()
    rest = (await api.get(f"{PATH}?limit=7&cursor={first['next_cursor']}", headers=acme)).json()
    ids = {item["id"] for item in first["items"] + rest["items"]}
    assert (len(ids), rest["next_cursor"]) == (ENDPOINTS_PER_MERCHANT_MAX, None)


async def test_secrets_are_rotated_so_often_and_no_more(api: httpx.AsyncClient, acme: dict[str, str]) -> None:
    made = await make(api, acme)
    path = f"{PATH}/{made['id']}/rotate-secret"
    secrets = {made["secret"]}
    for _ in range(LIVE_SECRETS_MAX - 1):
        response = await api.post(path, headers=acme)
        assert response.status_code == 200, response.text
        secrets.add(response.json()["secret"])
    assert len(secrets) == LIVE_SECRETS_MAX
    refused(await api.post(path, headers=acme), 409, "limit_reached")


COUNTED = [
    ("POST", "/test", None, "PINGS_PER_MERCHANT", 202),
    ("PATCH", "", {"enabled": True}, "CHANGES_PER_MERCHANT", 200),
    ("PATCH", "", {"url": "https://hooks.example/there"}, "CHANGES_PER_MERCHANT", 200),
    ("POST", "/deliveries/{delivery}/replay", None, "SINGLE_REPLAYS_PER_MERCHANT", 202),
    ("POST", "/replay", {"created_from": "2020-01-01T00:00:00Z"}, "REPLAYS_PER_MERCHANT", 202),
    ("POST", "/replay", {"created_from": "2020-01-01T00:00:00Z"}, "REPLAYS_PER_ENDPOINT", 202),
]


@pytest.mark.parametrize(("method", "path", "body", "name", "status"), COUNTED)
async def test_whatever_makes_us_call_a_merchants_host_is_counted(
    api: httpx.AsyncClient,
    acme: dict[str, str],
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    name: str,
    status: int,
) -> None:
    made = await make(api, acme)
    ping = (await api.post(f"{PATH}/{made['id']}/test", headers=acme)).json()
    await pool.execute("DELETE FROM limit_windows")
    limit = msgspec.structs.replace(getattr(service, name), count=2)
    monkeypatch.setattr(service, name, limit)
    url = f"{PATH}/{made['id']}{path.format(delivery=ping['id'])}"

    async def call() -> httpx.Response:
        return await api.request(method, url, json=body, headers=acme)

    answers = [await call() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 429]
    refused(answers[2], 429, "rate_limited")
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    await pool.execute(
        "UPDATE limit_windows SET moments = ARRAY(SELECT unnest(moments) - interval '1 minute')"
    )
    assert (await call()).status_code == status


async def test_replays_to_one_endpoint_leave_room_for_the_others(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    one, another = await make(api, acme), await make(api, acme)
    wanted = {"created_from": "2020-01-01T00:00:00Z"}

    async def replay(endpoint: dict[str, Any]) -> int:
        return (await api.post(f"{PATH}/{endpoint['id']}/replay", json=wanted, headers=acme)).status_code

    assert [await replay(one) for _ in range(REPLAYS_PER_ENDPOINT.count + 1)] == [202] * 5 + [429]
    assert [await replay(another) for _ in range(REPLAYS_PER_ENDPOINT.count + 1)] == [202] * 5 + [429]
    assert await replay(await make(api, acme)) == 429


async def deliver(pool: asyncpg.Pool, worker: ProcessJobs) -> None:
    """Lets a worker look, and waits until everything has arrived."""
    await worker.run("events")
    await worker.run("webhooks")

    async def all_arrived() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered'")

    await until(all_arrived)


CALLS = [
    ("GET", "", None),
    ("PATCH", "", {"enabled": False}),
    ("DELETE", "", None),
    ("POST", "/rotate-secret", None),
    ("POST", "/test", None),
    ("GET", "/deliveries", None),
    ("POST", "/deliveries/{delivery}/replay", None),
    ("POST", "/replay", {"created_from": "2020-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_somebody_elses_endpoint_is_not_there(
    api: httpx.AsyncClient,
    acme: dict[str, str],
    bearer: Bearer,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    made = await make(api, acme)
    ping = (await api.post(f"{PATH}/{made['id']}/test", headers=acme)).json()
    globex = bearer("merchant", "globex")
    url = f"{PATH}/{made['id']}{path.format(delivery=ping['id'])}"
    refused(await api.request(method, url, json=body, headers=globex), 404, "not_found")
    assert (await api.get(PATH, headers=globex)).json()["items"] == []
    # Not even by an endpoint of one's own.
    own = await make(api, globex)
    refused(
        await api.post(f"{PATH}/{own['id']}/deliveries/{ping['id']}/replay", headers=globex), 404, "not_found"
    )
    assert (await api.request(method, url, json=body, headers=acme)).status_code in (200, 202, 204)


@pytest.mark.parametrize(("role", "status"), [("buyer", 403), (None, 401)])
async def test_endpoints_are_for_merchants(
    api: httpx.AsyncClient, bearer: Bearer, role: Role | None, status: int
) -> None:
    headers = bearer(role, "ann") if role else {}
    code = "forbidden" if role else "unauthenticated"
    refused(await api.get(PATH, headers=headers), status, code)
    refused(await api.post(PATH, json={"url": URL}, headers=headers), status, code)


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"created_from": "yesterday"},
        {"created_from": "2030-01-01T00:00:00"},
        {"created_from": "9999-12-31T23:59:59-01:00"},
        {"created_from": "2030-01-01T00:00:00Z", "created_to": "0001-01-01T00:00:00+01:00"},
    ],
)
async def test_a_replay_needs_times(
    api: httpx.AsyncClient, acme: dict[str, str], times: dict[str, str]
) -> None:
    path = f"{PATH}/{(await make(api, acme))['id']}/replay"
    refused(await api.post(path, json=times, headers=acme), 400, "invalid")


async def test_what_is_sent_is_as_the_document_says(
    api: httpx.AsyncClient, acme: dict[str, str], pool: asyncpg.Pool, worker: ProcessJobs, contract: Contract
) -> None:
    rows = await Rows.open(pool)
    async with receiving() as receiver:
        await make(api, acme, url=receiver.url)
        order = await rows.order(group=await rows.group())
        for status in ("authorised", "captured"):
            if status == "captured":
                await rows.charge(order)
            await rows.move(order, status)
        await deliver(pool, worker)
    assert sorted(receiver.types()) == ["group.opened", "order.authorised", "order.captured"]
    for message in (one.message for one in receiver.received):
        operation = contract.document["webhooks"][message["type"]]["post"]
        contract.validate(operation["requestBody"]["content"]["application/json"]["schema"], message)


async def test_the_whole_way_with_the_client(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, worker: ProcessJobs
) -> None:
    token = bearer("merchant", "acme")["Authorization"].removeprefix("Bearer ")
    rows = await Rows.open(pool)
    async with receiving() as receiver, open_client(str(api.base_url), token=token) as pintuan:
        made = await pintuan.create_webhook_endpoint(NewWebhookEndpoint(url=receiver.url))
        ping = await pintuan.ping_webhook_endpoint(made.id)
        await deliver(pool, worker)
        assert receiver.received[0].verified(made.secret)["data"] == {"endpoint_id": made.id}
        assert receiver.received[0].id == ping.event_id

        order = await rows.order()
        await rows.move(order, "authorised")
        await deliver(pool, worker)
        sent = receiver.received[1].verified(made.secret)
        assert (sent["type"], sent["data"]) == (
            "order.authorised",
            (await api.get(f"/v1/merchant/orders/{order}", headers=bearer("merchant", "acme"))).json(),
        )

        log = [entry async for entry in every(pintuan.list_webhook_deliveries, made.id, limit=1)]
        assert [entry.event_type for entry in log] == ["order.authorised", "ping"]
        again = await pintuan.replay_webhook_delivery(made.id, log[0].id)
        assert again.status == "pending"
        part = await pintuan.replay_webhook_events(made.id, Replay(created_from=log[-1].created_at))
        assert (part.replayed, part.continue_from) == (1, None)
        await deliver(pool, worker)
        assert receiver.types() == ["ping", "order.authorised", "order.authorised"]

        rotated = await pintuan.rotate_webhook_secret(made.id)
        assert rotated.secret != made.secret
        changed = await pintuan.change_webhook_endpoint(made.id, WebhookEndpointChange(enabled=False))
        assert (changed.status, (await pintuan.get_webhook_endpoint(made.id)).status) == (
            "disabled",
            "disabled",
        )
        assert [endpoint.id for endpoint in (await pintuan.list_webhook_endpoints()).items] == [made.id]
        await pintuan.delete_webhook_endpoint(made.id)
        assert (await pintuan.list_webhook_endpoints()).items == []
