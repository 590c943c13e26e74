"""Which server runs the API cheapest: `python -m benchmarks.servers` (wants the `bench` extra for granian).

Starts embedded stores once, then, interleaved, one API process under each server, and drives it over loopback
from this process: a route that does nothing (`GET /health/live`) and a durable join. Prints the API process'
own CPU per request (user + system), the median of the runs with its spread. Compare only figures of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks.load import drive, request_bytes
from pintuan.auth.keyring import Keyring
from pintuan.auth.tokens import TokenIssuer
from pintuan.embedded import EmbeddedPostgres, EmbeddedRedis
from sql import migrate

HOST = "127.0.0.1"
SECRET_KEY = secrets.token_hex(32)
CONNECTIONS = 64
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 15.0
SERVERS = {
    "uvicorn": ("-m", "benchmarks.serve_uvicorn"),
    "granian": ("-m", "benchmarks.serve_granian"),
}


async def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4_000)
    options = parser.parse_args()
    figures: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="pintuan-bench-") as directory:
        async with _stores(Path(directory)) as environment:
            for run in range(options.runs):
                for server in SERVERS:
                    for route, cpu_us in (await _measure(server, environment, options.requests)).items():
                        figures.setdefault((server, route), []).append(cpu_us)
                print(f"run {run + 1} of {options.runs}", file=sys.stderr)
    print(f"{'server':10} {'route':8} {'CPU µs/request: median':>24} {'min':>6} {'max':>6}")
    for (server, route), values in sorted(figures.items(), key=lambda item: item[0][::-1]):
        print(
            f"{server:10} {route:8} {statistics.median(values):24.0f} {min(values):6.0f} {max(values):6.0f}"
        )


@asynccontextmanager
async def _stores(directory: Path) -> AsyncIterator[dict[str, str]]:
    postgres, redis = EmbeddedPostgres(directory / "postgres"), EmbeddedRedis(directory / "redis")
    for server in (postgres, redis):
        server.prepare()
        await server.start()
    try:
        for server in (postgres, redis):
            await server.wait_ready()
        await migrate(postgres.url)
        yield {
            **os.environ,
            "PINTUAN_DATABASE_URL": postgres.url,
            "PINTUAN_REDIS_URL": redis.url,
            "PINTUAN_SECRET_KEY": SECRET_KEY,
            "PINTUAN_RATE_LIMITS": "off",
        }
    finally:
        for server in (redis, postgres):
            await server.stop()


async def _measure(server: str, environment: dict[str, str], requests: int) -> dict[str, float]:
    """Returns CPU microseconds per request of each route, for a fresh process under `server`."""
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *SERVERS[server],
        str(port),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=5) as client:
            await _ready(client)
            issuer = TokenIssuer(Keyring(SECRET_KEY))
            now_s = time.time()
            deal_id = await _make_deal(client, issuer.issue("bench", "merchant", now_s=now_s))
        tokens = [issuer.issue(f"buyer-{port}-{n}", "buyer", now_s=now_s) for n in range(requests)]
        live = iter([request_bytes("GET", "/health/live", token=tokens[0], key="k", body=b"")] * requests)
        return {
            "live": await _cpu_us(process.pid, port, live, requests, expected=200),
            "join": await _cpu_us(process.pid, port, _joins(deal_id, tokens), requests, expected=201),
        }
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)


def _joins(deal_id: str, tokens: list[str]) -> Iterator[bytes]:
    body = b'{"quantity":1,"payment_method":"pm_ok"}'
    for token in tokens:
        yield request_bytes("POST", f"/v1/deals/{deal_id}/join", token=token, key="bench", body=body)


async def _cpu_us(pid: int, port: int, requests: Iterator[bytes], count: int, *, expected: int) -> float:
    before_s = _cpu_s(pid)
    statuses = await drive(HOST, port, requests, connections=CONNECTIONS)
    if statuses[expected] != count:
        raise RuntimeError(f"expected {count} answers of {expected}, got {dict(statuses)}")
    return (_cpu_s(pid) - before_s) / count * 1e6


def _cpu_s(pid: int) -> float:
    """CPU seconds of the process and its children: granian serves from one."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(time.user + time.system for time in times)


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            try:
                if (await client.get("/health/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def _make_deal(client: httpx.AsyncClient, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    variant = {"sku": "A", "title": "A", "list_price": {"amount": 1000, "currency": "USD"}}
    product = await client.post("/v1/products", json={"title": "Tea", "variants": [variant]}, headers=headers)
    deal = await client.post(
        "/v1/deals",
        headers=headers,
        json={
            "variant_id": product.raise_for_status().json()["variants"][0]["id"],
            "ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 1000, "unit_price": 700}],
            "min_headcount": 2,
            "max_headcount": 1000,
            "group_ttl_seconds": 3600,
            "stock": 1_000_000,
            "per_buyer_units": 1,
        },
    )
    identifier: str = deal.raise_for_status().json()["id"]
    return identifier


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    asyncio.run(main())
