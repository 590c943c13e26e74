"""What a load balancer and an operator see."""

import asyncio
import re
from collections import Counter

import asyncpg
import httpx
import pytest

from groups.connections import Connections
from pintuan.base.errors import FieldError
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.base.telemetry import metrics
from pintuan.http.health import service
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract

pytestmark = pytest.mark.anyio


async def test_a_process_is_live(api: httpx.AsyncClient) -> None:
    response = await api.get("/health/live")

    assert (response.status_code, response.json()) == (200, {"status": "live"})


async def test_a_process_whose_stores_answer_is_ready(api: httpx.AsyncClient) -> None:
    response = await api.get("/health/ready")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})


class TestWithoutRedis:
    """The API with a Redis of its own, which goes away."""

    @pytest.fixture
    def redis_url(self, own_redis: EmbeddedRedis) -> str:
        return own_redis.url

    async def test_a_process_that_lost_redis_says_so_and_recovers(
        self, api: httpx.AsyncClient, own_redis: EmbeddedRedis
    ) -> None:
        await own_redis.kill()
        lost = await api.get("/health/ready")
        await own_redis.start()
        await own_redis.wait_ready()
        back = await api.get("/health/ready")

        assert lost.status_code == 503
        assert lost.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in lost.json()["errors"]] == ["redis"]
        assert "retry-after" in lost.headers
        assert back.status_code == 200


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("DELETE FROM schema_migrations WHERE number = 1", "1 not applied, first 0001_base"),
        ("DELETE FROM schema_definitions WHERE name = 'deals'", "1 not applied, first definitions/deals"),
        ("UPDATE schema_definitions SET version = 0", "first definitions/"),
    ],
)
async def test_a_database_that_lacks_a_migration_or_a_definition_is_not_ready(
    api: httpx.AsyncClient, settings: Settings, lost: str, named: str
) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute(lost)
    finally:
        await connection.close()

    response = await api.get("/health/ready")

    assert response.status_code == 503
    assert [error["field"] for error in response.json()["errors"]] == ["migrations"]
    assert named in response.json()["errors"][0]["message"]


async def test_a_database_with_a_later_definition_is_ready(
    api: httpx.AsyncClient, settings: Settings
) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("UPDATE schema_definitions SET version = version + 1, sha256 = 'later'")
    finally:
        await connection.close()

    assert (await api.get("/health/ready")).status_code == 200


async def test_one_look_serves_all_who_ask_for_readiness_or_metrics(
    settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Counter[str]()
    failing_parts, render = service.failing_parts, metrics.render

    async def counted(pool: asyncpg.Pool, redis: Connections, *, watches_workers: bool) -> list[FieldError]:
        looks["ready"] += 1
        return await failing_parts(pool, redis, watches_workers=watches_workers)

    def counted_render() -> bytes:
        looks["metrics"] += 1
        return render()

    monkeypatch.setattr(service, "failing_parts", counted)
    monkeypatch.setattr(metrics, "render", counted_render)
    # They keep what they found for longer than the test takes.
    monkeypatch.setattr(service, "READINESS_KEPT_S", 60.0)
    monkeypatch.setattr(service, "METRICS_KEPT_S", 60.0)
    async with serving(settings, contract) as api:
        for path in ("/health/ready", "/metrics"):
            answers = await asyncio.gather(*(api.get(path) for _ in range(64)))
            assert {answer.status_code for answer in answers} == {200}
    assert looks == {"ready": 1, "metrics": 1}


async def test_requests_are_counted_by_template_method_and_status(api: httpx.AsyncClient) -> None:
    await api.get("/v1/products/prd_whispered")
    await api.get("/v1/nothing/whispered")

    response = await api.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain")
    assert re.search(
        r'pintuan_http_requests_total\{method="GET",route="/v1/products/\{product_id\}",status="404"\} [1-9]',
        response.text,
    )
    assert 'route="unmatched"' in response.text
    assert "pintuan_http_request_duration_seconds_bucket" in response.text
    assert "whispered" not in response.text
