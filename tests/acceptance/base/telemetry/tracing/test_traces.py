"""A request can be followed from its route to the payment it led to, by a real collector over OTLP."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.base.telemetry.tracing.collector import Collected, Collector, collecting
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Shoppers, placed
from tests.market import Market
from tests.marketplace import free_port
from tests.waiting import until

pytestmark = pytest.mark.anyio

JOIN = "POST /v1/deals/{deal_id}/join"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOGETHER = 20
TRIES_MAX = 20
"""A sweep may find a payment before the doorbell's job does; then nobody asked for it in particular."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    return msgspec.structs.replace(settings, otlp_endpoint=collector.url)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[None]:
    """A worker process on the same stores."""
    environ = os.environ | {
        "PINTUAN_DATABASE_URL": settings.database_url or "",
        "PINTUAN_REDIS_URL": settings.redis_url or "",
        "PINTUAN_DATA_DIR": str(settings.data_dir),
        "PINTUAN_SECRET_KEY": settings.secret_key or "",
        "PINTUAN_OTLP_ENDPOINT": settings.otlp_endpoint or "",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)
    try:
        yield
    finally:
        process.terminate()
        assert await process.wait() == 0


async def arrived(collector: Collector, name: str, count: int = 1) -> None:
    async def has_come() -> bool:
        return len(collector.named(name)) >= count

    await until(has_come)


async def test_a_join_is_one_trace_from_the_callers_span_to_the_durable_record(
    shoppers: Shoppers, market: Market, collector: Collector
) -> None:
    deal = await market.deal()
    await shoppers.join(deal, "first")
    headers = shoppers.headers("ann") | {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    body = {"quantity": 1, "payment_method": "pm_ok"}
    placed(await shoppers.api.post(f"/v1/deals/{deal}/join", json=body, headers=headers))
    await arrived(collector, JOIN, 2)

    request = collector.one(JOIN, trace=TRACE)
    batch = collector.one("place batch", trace=TRACE)
    script = collector.one("script", trace=TRACE)
    call = collector.one("redis place", trace=TRACE)
    record = collector.one("record", trace=TRACE)
    statement = collector.one("placements.record_placements", trace=TRACE)
    assert request.parent == CALLER
    assert (batch.parent, batch.links) == (request.id, frozenset({request.id}))
    assert script.parent == record.parent == batch.id
    assert (call.parent, statement.parent) == (script.id, record.id)
    assert {span.service for span in collector.spans} == {"pintuan-api"}
    assert request.attributes["http.response.status_code"] == 201
    assert batch.attributes == {"pintuan.batch.size": 1}


async def test_requests_that_left_in_one_batch_are_linked_to_it_and_from_it(
    shoppers: Shoppers, market: Market, collector: Collector
) -> None:
    deal = await market.deal()
    await asyncio.gather(*(shoppers.join(deal, f"buyer-{n}") for n in range(TOGETHER)))
    await arrived(collector, JOIN, TOGETHER)

    requests = {span.id: span for span in collector.named(JOIN)}
    batches = collector.named("place batch")
    assert len(batches) < TOGETHER, "some left together"
    assert sum(batch.attributes["pintuan.batch.size"] for batch in batches) == TOGETHER
    assert {request for batch in batches for request in batch.links} == set(requests)
    for batch in batches:
        assert all(request == batch.parent or batch.id in requests[request].links for request in batch.links)


async def test_the_workers_payment_belongs_to_the_join_that_rang_for_it(
    shoppers: Shoppers, market: Market, collector: Collector, settings: Settings
) -> None:
    deal = await market.deal()
    async with worker(settings):
        for number in range(TRIES_MAX):
            order = placed(await shoppers.join(deal, f"buyer-{number}"))["id"]
            await until(lambda order=order: is_authorised(market, order))  # type: ignore[misc]
            if await followed(collector, order):
                break
    call = next(span for span in payments(collector) if span.attributes["pintuan.order.id"] == order)
    job = collector.one("job payments", trace=call.trace)
    batch = collector.one("place batch", trace=call.trace)
    assert call.parent == job.id
    assert (job.parent, job.links) == (batch.id, frozenset({batch.id}))
    assert (batch.service, job.service) == ("pintuan-api", "pintuan-worker")
    assert collector.named("payments.end_operations", trace=call.trace), "and so does what it wrote"


async def test_nothing_a_caller_sent_leaves_the_process_in_a_span(
    shoppers: Shoppers, market: Market, collector: Collector
) -> None:
    deal = await market.deal()
    secrets = {"payment_method": "pm_ok:swordfish", "ship_to": {"name": "swordfish"}}
    order = placed(await shoppers.join(deal, "swordfish-ann", key="swordfish", **secrets))
    await shoppers.join(deal, "swordfish-ann", key="swordfish", quantity=2)
    await shoppers.api.get("/v1/share/swordfish", headers={"authorization": "Bearer swordfish"})
    await shoppers.api.get(f"/v1/share/{order['group']['share_code']}")
    await shoppers.api.post("/v1/auth/otp", json={"email": "swordfish@example.org"})
    await arrived(collector, "GET /v1/share/{share_code}", 2)
    await arrived(collector, "POST /v1/auth/otp")

    sent = b"".join(collector.bodies)
    assert b"swordfish" not in sent
    assert order["group"]["share_code"].encode() not in sent


@pytest.mark.parametrize(
    ("share", "flags"), [(1.0, "00"), (0.0, "01")], ids=["not asked for", "none is to be followed"]
)
async def test_what_is_not_followed_leaves_no_span(
    settings: Settings, contract: Contract, collector: Collector, share: float, flags: str
) -> None:
    settings = msgspec.structs.replace(settings, trace_sample_ratio=share)
    async with serving(settings, contract) as api:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"}
        assert (await api.get("/v1/deals", headers=headers)).status_code == httpx.codes.OK
        assert (await api.get("/health/ready")).status_code == httpx.codes.OK

    assert collector.spans == [], "and at its end the process has sent all it had"


async def test_a_collector_that_is_away_disturbs_no_request(settings: Settings, contract: Contract) -> None:
    settings = msgspec.structs.replace(settings, otlp_endpoint=f"http://127.0.0.1:{free_port()}")
    async with serving(settings, contract) as api:
        assert (await api.get("/v1/deals")).status_code == httpx.codes.OK


async def is_authorised(market: Market, order: str) -> bool:
    status: str = (await market.order(order))["status"]
    return status == "authorised"


def payments(collector: Collector) -> list[Collected]:
    return collector.named("gateway authorise")


async def followed(collector: Collector, order: str) -> bool:
    """Whether the payment of the order was somebody's; spans leave within a second or two."""

    async def has_come() -> bool:
        return any(span.attributes["pintuan.order.id"] == order for span in payments(collector))

    try:
        await until(has_come, within_s=3)
    except TimeoutError:
        return False
    return True
