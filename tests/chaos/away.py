"""An outage by hand: `python -m tests.chaos.away queue --seconds 600`, or `workers`, or `stopped`.

Buyers go on joining while the queue's Redis is killed, the node of workers is stopped, or its workers stand
still. It ends with 0 when afterwards no acknowledged order has expired, every group whose time is over has
settled, and the audit finds nothing; it says how many orders were held at the end of the outage and how long
they took to be paid.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from pintuan.base.stores.embedded import EmbeddedRedis
from tests.marketplace import Running, Site, open_deal
from tests.waiting import until

JOINS_EACH_S = 3.0
BEFORE_S = 8.0
AFTER_S_MAX = 120.0
SETTLE_S_MAX = 400.0
# Groups of the first deal end during the outage, those of the second fill up, the third sells alone.
GROUP_SECONDS = 60


@dataclass
class Sale:
    """Buyers who join one after the other; every order that was acknowledged is kept."""

    client: httpx.AsyncClient
    tokens: list[str]
    deals: list[str]
    acknowledged: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    async def run(self, ending: asyncio.Event) -> None:
        """Begins a join every third of a second, whatever becomes of the others."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, token in enumerate(self.tokens):
                if ending.is_set():
                    return
                group.create_task(self._join(number, token))
                await asyncio.sleep(max(0.0, begun + (number + 1) / JOINS_EACH_S - time.monotonic()))

    async def _join(self, number: int, token: str) -> None:
        verb = "buy" if number % 5 == 4 else "join"
        answer = await self.client.post(
            f"/v1/deals/{self.deals[number % len(self.deals)]}/{verb}",
            json={"payment_method": "pm_ok"},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"away-{number:06d}"},
        )
        if answer.status_code == httpx.codes.CREATED:
            self.acknowledged.append(answer.json()["id"])
        else:
            self.refused[answer.status_code] += 1


async def main(what: str, away_s: float) -> int:
    with tempfile.TemporaryDirectory(prefix="pintuan-away-") as directory:
        queue = EmbeddedRedis(Path(directory) / "queue")
        queue.prepare()
        await queue.start()
        await queue.wait_ready()
        site, nodes = Site(Path(directory) / "api"), Site(Path(directory) / "workers")
        try:
            api = await site.up(
                "--workers", "0", PINTUAN_QUEUE_REDIS_URL=queue.url, PINTUAN_LOG_LEVEL="warning"
            )
            stores = site.running()
            environ = {
                "PINTUAN_DATABASE_URL": stores["database_url"],
                "PINTUAN_REDIS_URL": stores["redis_url"],
                "PINTUAN_QUEUE_REDIS_URL": queue.url,
            }
            return await _outage(what, away_s, site, api, nodes, environ, queue)
        finally:
            await nodes.close()
            await site.close()
            await queue.stop()


async def _outage(
    what: str,
    away_s: float,
    site: Site,
    api: Running,
    nodes: Site,
    environ: dict[str, str],
    queue: EmbeddedRedis,
) -> int:
    worker = await nodes.up("--api-workers", "0", "--workers", "2", **environ)

    async def begin() -> None:
        if what == "queue":
            await queue.kill()
        elif what == "workers":
            await worker.terminate()
        else:
            for process in worker.processes("worker"):
                process.send_signal(signal.SIGSTOP)

    async def end() -> None:
        if what == "queue":
            await queue.start()
            await queue.wait_ready()
        elif what == "workers":
            await nodes.up("--api-workers", "0", "--workers", "2", **environ)
        else:
            for process in worker.processes("worker"):
                process.send_signal(signal.SIGCONT)

    merchant, *_ = await site.tokens("merchant", "acme")
    buyers = await site.tokens("buyer", "buyer", count=int((BEFORE_S + away_s + AFTER_S_MAX) * JOINS_EACH_S))
    pool = await asyncpg.create_pool(environ["PINTUAN_DATABASE_URL"], min_size=1, max_size=2)
    async with api.client() as client, pool:
        ladder = [{"headcount": 2, "unit_price": 900}, {"headcount": 4, "unit_price": 800}]
        terms = {"stock": 100_000, "per_buyer_units": 1, "ladder": ladder}
        deals = [
            await open_deal(client, merchant, **terms, **more)
            for more in (
                {"min_headcount": 2, "max_headcount": 100, "group_ttl_seconds": GROUP_SECONDS},
                {"min_headcount": 2, "max_headcount": 4, "group_ttl_seconds": 3_600},
            )
        ]
        sale, ending = Sale(client, buyers, deals), asyncio.Event()
        selling = asyncio.create_task(sale.run(ending))
        await asyncio.sleep(BEFORE_S)
        await begin()
        _say(f"{what} away for {away_s:g} s")
        await asyncio.sleep(away_s)
        held = await pool.fetchval("SELECT count(*) FROM orders WHERE status = 'held'")
        untried = await pool.fetchval("SELECT count(*) FROM payment_operations WHERE attempts = 0")
        await end()
        back = time.monotonic()
        ending.set()
        await selling
        await _until(pool, "SELECT NOT EXISTS (SELECT FROM orders WHERE status = 'held')", AFTER_S_MAX)
        paid_s = time.monotonic() - back
        await _until(
            pool,
            "SELECT NOT EXISTS (SELECT FROM groups WHERE ended_at IS NULL AND deadline <= app_now())"
            " AND NOT EXISTS (SELECT FROM group_progress p JOIN groups g ON g.id = p.group_id"
            " WHERE g.ended_at IS NULL AND p.headcount >= p.capacity)",
            SETTLE_S_MAX,
        )
        statuses = Counter(
            row["status"]
            for row in await pool.fetch("SELECT status FROM orders WHERE id = ANY($1)", sale.acknowledged)
        )
        outcomes = Counter(row["status"] for row in await pool.fetch("SELECT status FROM groups"))
    _say(
        f"acknowledged {len(sale.acknowledged)}, refused {dict(sale.refused)}; held at the end {held}, of"
        f" which {untried} never tried; paid within {paid_s:.1f} s; {dict(statuses)}; groups {dict(outcomes)}"
    )
    await site.assert_sound()
    kept = statuses["captured"] + statuses["authorised"] + statuses["released"]
    lost = len(sale.acknowledged) - kept
    return 1 if lost or statuses["expired"] else 0


async def _until(pool: asyncpg.Pool, query: str, within_s: float) -> None:
    async def holds() -> bool:
        return bool(await pool.fetchval(query))

    await until(holds, within_s=within_s)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("queue", "workers", "stopped"))
    parser.add_argument("--seconds", type=float, default=80.0)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.what, options.seconds)))
