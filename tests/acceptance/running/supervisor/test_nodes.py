"""A node may run the API alone or workers alone; either tells an operator how it is."""

from __future__ import annotations

import httpx
import pytest

from tests.marketplace import Running, Site, free_port
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def get(url: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return await client.get(path)


async def has_sampled(up: Running) -> bool:
    return 'pintuan_payments{kind="capture",state="due"} 0.0' in (await get(up.url, "/metrics")).text


async def test_a_node_of_workers_works_and_serves_an_operator_alone(site: Site) -> None:
    up = await site.up("--api-workers", "0", "--workers", "2")

    assert up.url.endswith(f":{site.port}")
    assert len(up.processes("worker")) == 2
    for path in ("/health/live", "/health/ready"):
        assert (await get(up.url, path)).status_code == httpx.codes.OK
    assert (await get(up.url, "/v1/deals")).status_code == httpx.codes.NOT_FOUND
    await until(lambda: has_sampled(up))
    await up.roll()
    assert (await get(up.url, "/health/ready")).status_code == httpx.codes.OK
    family = up.family()
    assert await up.terminate() == 0
    assert not any(process.is_running() for process in family)


async def test_a_port_for_metrics_is_served_beside_the_api_by_a_process_of_its_own(site: Site) -> None:
    port = free_port()
    up = await site.up("--workers", "0", PINTUAN_METRICS_PORT=str(port))
    operator = up.url.replace(str(site.port), str(port))

    assert up.processes("worker") == []
    assert (await get(up.url, "/v1/deals")).status_code == httpx.codes.OK
    assert (await get(operator, "/health/ready")).status_code == httpx.codes.OK
    assert (await get(operator, "/v1/deals")).status_code == httpx.codes.NOT_FOUND
    assert (await get(up.url, "/metrics")).status_code == httpx.codes.NOT_FOUND
    counted = 'pintuan_http_requests_total{method="GET",route="/v1/deals",status="200"} 1.0'
    assert counted in (await get(operator, "/metrics")).text, "what the API counts is shown there too"
    assert await up.terminate() == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--api-workers", "0", "--workers", "0"), "there is nothing to run"),
        (("--api-workers", "0", "--demo"), "the demo needs an API"),
        (("--api-workers", "65"), "65 is not in the range 0<=x<=64"),
        (("--workers", "-1"), "-1 is not in the range 0<=x<=64"),
    ],
)
async def test_a_node_with_nothing_to_do_is_refused(
    new_site: Site, options: tuple[str, ...], reason: str
) -> None:
    refused = await new_site.up_refused(*options)

    assert refused.status == 2
    assert reason in refused.errors
    assert not new_site.data_dir.exists()
