"""A real Prometheus looks at a marketplace with live shoppers, and everything that is shown has numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.marketplace import Running, Site, free_port
from tests.operations.watching import PROMETHEUS, needs_prometheus, queries, read_yaml, rules
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400), needs_prometheus]

START_S_MAX = 30.0
STOP_S_MAX = 20.0
CALL_TIMEOUT_S = 10.0
RATE_INTERVAL = "5m"
"""What Grafana would put for $__rate_interval; here it takes in the whole show."""


def configuration(target: str) -> dict[str, Any]:
    """The configuration as it is, but that its jobs look at one address and at the rules where they lie."""
    found: dict[str, Any] = read_yaml(PROMETHEUS / "prometheus.yml")
    found["global"]["scrape_interval"] = found["global"]["evaluation_interval"] = "1s"
    found["global"]["scrape_timeout"] = "1s"
    found["rule_files"] = [str(PROMETHEUS / file) for file in found["rule_files"]]
    for job in found["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [target]}]
    return found


@asynccontextmanager
async def prometheus(up: Running, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus that looks at a marketplace, for the life of the block; yields a client of its API."""
    config, address = directory / "prometheus.yml", f"127.0.0.1:{free_port()}"
    config.write_text(json.dumps(configuration(urlsplit(up.url).netloc)))
    with (directory / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'series'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{address}", timeout=CALL_TIMEOUT_S, trust_env=False
        ) as client:
            await until(lambda: is_looking(client), within_s=START_S_MAX)
            yield client
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_S_MAX)


async def is_looking(client: httpx.AsyncClient) -> bool:
    """Whether it answers and has found both jobs up."""
    try:
        return len(await ask(client, "up == 1")) == len(configuration("")["scrape_configs"])
    except httpx.TransportError:
        return False


async def ask(client: httpx.AsyncClient, query: str) -> list[Any]:
    """What a query finds now."""
    answer = await client.get("/api/v1/query", params={"query": query})
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    assert answer.status_code == httpx.codes.OK, f"{query}: {answer.text}"
    found: list[Any] = answer.json()["data"]["result"]
    return found


async def test_after_a_show_every_query_has_an_answer_and_no_alert_is_wrong(
    site: Site, own_directory: Path
) -> None:
    up = await site.up("--api-workers", "2")
    async with prometheus(up, own_directory) as client:
        show = await site.show("--seed", "1")
        assert show.status == 0, show.errors
        for title, query in queries():
            found = await ask(client, query.replace("$__rate_interval", RATE_INTERVAL))
            assert found, f"{title}: nothing for {query}"
        for rule in rules():
            await ask(client, rule["expr"])
        answer = await client.get("/api/v1/rules", params={"type": "alert"})
        evaluated = [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]
        assert sorted(rule["name"] for rule in evaluated) == sorted(rule["alert"] for rule in rules())
        assert {rule["health"] for rule in evaluated} == {"ok"}
        assert [rule["name"] for rule in evaluated if rule["state"] == "firing"] == []
    assert await up.terminate() == 0
