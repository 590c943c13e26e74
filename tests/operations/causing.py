"""A marketplace of two nodes under the eyes of a hasty Prometheus, for troubles to be caused on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from pintuan.base.stores.embedded import EmbeddedRedis
from tests.marketplace import Running, Site, free_port, open_deal
from tests.operations.watching import PROMETHEUS, read_yaml
from tests.waiting import until

HASTE = 30
# What a rate needs to see two values that differ.
RANGE_S_MIN = 4.0
FOR_S_MIN = 0.5
# What a trouble leaves behind, such as a lane that is being rebuilt, is over in seconds.
ASKED_MAX = 100
ASKED_EVERY_S = 0.1
SCRAPE_EVERY = "500ms"
FIRING_S_MAX = 60.0
CALL_TIMEOUT_S = 20.0
STOP_S_MAX = 20.0
TERMS = {
    "ladder": [{"headcount": 2, "unit_price": 900}],
    "min_headcount": 2,
    "max_headcount": 100,
    "group_ttl_seconds": 3_600,
    "stock": 100_000,
    "per_buyer_units": 1_000,
}
# More than ever join, however slow the machine is: nobody joins a second time.
BUYERS = 5_000
_RANGE = re.compile(r"\[(\d+)([smh])\]")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600}


def in_haste(amount: str, unit: str, least_s: float) -> str:
    """A duration of the rules, as it is here."""
    return f"{round(max(int(amount) * _UNITS_S[unit] / HASTE, least_s) * 1000)}ms"


def hasty_rules() -> dict[str, Any]:
    """The rules as they are, but for their durations."""
    found: dict[str, Any] = read_yaml(PROMETHEUS / "alerts.yml")
    for group in found["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(lambda m: f"[{in_haste(m[1], m[2], RANGE_S_MIN)}]", rule["expr"])
            if "for" in rule:
                rule["for"] = in_haste(rule["for"][:-1], rule["for"][-1], FOR_S_MIN)
    return found


@dataclass
class Stage:
    """The API's node, that of the workers, the two Redis servers, and the Prometheus that watches them."""

    api: Running
    workers: Running
    placing: EmbeddedRedis
    queue: EmbeddedRedis
    pool: asyncpg.Pool
    client: httpx.AsyncClient
    prometheus: httpx.AsyncClient
    merchant: str
    buyers: list[str]
    deal: str = ""
    _joined: int = 0

    async def new_deal(self, **terms: Any) -> str:
        return await open_deal(self.client, self.merchant, **(TERMS | terms))

    async def join(self, deal: str = "", *, verb: str = "join") -> httpx.Response:
        """The next buyer joins, with a key of their own."""
        self._joined += 1
        return await self._ask(self._joined, deal or self.deal, verb)

    async def order(self, *, verb: str = "join") -> str:
        """The next buyer's order. A buyer who is told to come back does so, with the same key."""
        self._joined += 1
        number = self._joined
        for _ in range(ASKED_MAX):
            answer = await self._ask(number, self.deal, verb)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(ASKED_EVERY_S)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def orders(self, count: int, *, verb: str = "join") -> list[str]:
        """That many buyers join at once; answers their orders."""
        return await asyncio.gather(*(self.order(verb=verb) for _ in range(count)))

    async def _ask(self, number: int, deal: str, verb: str) -> httpx.Response:
        token = self.buyers[number % len(self.buyers)]
        return await self.client.post(
            f"/v1/deals/{deal}/{verb}",
            json={"payment_method": "pm_ok"},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"stage-{number:06d}"},
        )

    @asynccontextmanager
    async def going_on(self, work: Callable[[], Any], *, every_s: float = 0.1) -> AsyncIterator[None]:
        """Does something again and again for the life of the block, whatever becomes of it."""

        async def repeat() -> None:
            while True:
                await asyncio.gather(work(), return_exceptions=True)
                await asyncio.sleep(every_s)

        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_paid(self) -> None:
        """Waits until no order waits for its payment."""
        await self.until_true("SELECT NOT EXISTS (SELECT FROM orders WHERE status = 'held')")

    async def until_true(self, query: str, *arguments: Any) -> None:
        async def holds() -> bool:
            return bool(await self.pool.fetchval(query, *arguments))

        await until(holds)

    async def firing(self) -> set[str]:
        """The alerts that fire now."""
        answer = await self.prometheus.get("/api/v1/query", params={"query": 'ALERTS{alertstate="firing"}'})
        return {alert["metric"]["alertname"] for alert in answer.json()["data"]["result"]}

    async def until_firing(self, *alerts: str) -> None:
        """Waits until each of the alerts has fired; raises TimeoutError with what did not."""
        missing = set(alerts)

        async def all_fired() -> bool:
            missing.difference_update(await self.firing())
            return not missing

        try:
            await until(all_fired, within_s=FIRING_S_MAX)
        except TimeoutError:
            raise AssertionError(f"did not fire: {sorted(missing)}; firing: {await self.firing()}") from None


@asynccontextmanager
async def open_stage(directory: Path, *, sms_url: str) -> AsyncIterator[Stage]:
    """Starts all of it, for the life of the block."""
    placing, queue = EmbeddedRedis(directory / "placing"), EmbeddedRedis(directory / "queue")
    for server in (placing, queue):
        server.prepare()
        await server.start()
        await server.wait_ready()
    one, other = Site(directory / "api"), Site(directory / "workers")
    urls = {"PINTUAN_REDIS_URL": placing.url, "PINTUAN_QUEUE_REDIS_URL": queue.url}
    try:
        api = await one.up("--workers", "0", **urls, PINTUAN_RATE_LIMITS="off")
        database_url = one.running()["database_url"]
        key = (one.data_dir / "secret_key").read_text().strip()
        workers = await other.up(
            *("--api-workers", "0", "--workers", "1"),
            **urls,
            PINTUAN_DATABASE_URL=database_url,
            PINTUAN_SECRET_KEY=key,
            PINTUAN_SMS_WEBHOOK_URL=sms_url,
        )
        (merchant,) = await one.tokens("merchant", "acme")
        buyers = await one.tokens("buyer", "buyer", count=BUYERS)
        async with (
            asyncpg.create_pool(database_url, min_size=1, max_size=4) as pool,
            api.client() as client,
            prometheus(directory, api=api.url, worker=workers.url) as asked,
        ):
            stage = Stage(api, workers, placing, queue, pool, client, asked, merchant, buyers)
            stage.deal = await stage.new_deal()
            yield stage
    finally:
        await other.close()
        await one.close()
        for server in (placing, queue):
            await server.stop()


@asynccontextmanager
async def prometheus(directory: Path, *, api: str, worker: str) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus with the hasty rules; yields a client of its API once it has looked at both nodes."""
    (directory / "alerts.yml").write_text(json.dumps(hasty_rules()))
    found: dict[str, Any] = read_yaml(PROMETHEUS / "prometheus.yml")
    found["global"] = {
        "scrape_interval": SCRAPE_EVERY,
        "scrape_timeout": SCRAPE_EVERY,
        "evaluation_interval": SCRAPE_EVERY,
    }
    found["rule_files"] = ["alerts.yml"]
    targets = {"pintuan-api": api, "pintuan-worker": worker}
    for job in found["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [urlsplit(targets[job["job_name"]]).netloc]}]
        # A store that is away is waited for; a scrape that is given up would be a target that is down.
        job["scrape_timeout"], job["scrape_interval"] = "2s", "2s"
    (directory / "prometheus.yml").write_text(json.dumps(found))
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'series'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{address}", timeout=CALL_TIMEOUT_S, trust_env=False
        ) as client:

            async def sees_both() -> bool:
                try:
                    answer = await client.get("/api/v1/query", params={"query": "up == 1"})
                    return len(answer.json()["data"]["result"]) == len(targets)
                except (httpx.TransportError, ValueError, KeyError):
                    return False

            await until(sees_both)
            yield client
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_S_MAX)
