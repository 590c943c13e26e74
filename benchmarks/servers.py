"""Which server runs the API cheapest: `python -m benchmarks.servers` (wants the `bench` extra for granian).

Starts embedded Postgres and Redis, then each server in turn with one worker process on the same application,
and drives two routes in a closed loop: liveness, which is a bare ASGI handler and so mostly the server's own
cost, and joining a deal, as the application serves it under any server. Runs are interleaved and each starts
a fresh process. Compare only figures of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from benchmarks.cores import pinned
from benchmarks.environment import HOST, Servers, Stores, open_stores
from benchmarks.market import client_of, joins, open_market, request_bytes
from benchmarks.samples import Samples
from benchmarks.scenario import Options, closed, require_only

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 15.0
POLL_S: Final = 0.05
OPTIONS: Final = Options(connections=64)
SERVERS: Final = {"uvicorn": "benchmarks.serve_uvicorn", "granian": "benchmarks.serve_granian"}
LABELS: Final = {"live": "liveness", "join": "durable join"}


async def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4_000)
    options = parser.parse_args()
    samples: defaultdict[str, Samples] = defaultdict(lambda: Samples(LABELS))
    with tempfile.TemporaryDirectory(prefix="pintuan-bench-") as directory:
        async with open_stores(Path(directory)) as stores:
            for run in range(options.runs):
                for server, module in SERVERS.items():
                    async with _serving(stores, module) as servers:
                        await _measure(servers, samples[server], f"{server}-{run}", options.requests)
                print(f"run {run + 1} of {options.runs}", file=sys.stderr)
    print(f"{'server':10} {'route':8} {'CPU µs/request: median':>24} {'min':>6} {'max':>6}")
    for route in LABELS:
        for server in SERVERS:
            found = samples[server].cpu_us(route, "api")
            print(f"{server:10} {route:8} {found.median:24.0f} {found.low:6.0f} {found.high:6.0f}")


async def _measure(servers: Servers, samples: Samples, name: str, count: int) -> None:
    """Drives both routes of a fresh process."""
    async with client_of(servers) as http:
        await _ready(http)
        market = await open_market(servers, http)
        deal_id = await market.new_deal()
    live = [request_bytes("GET", "/health/live")]
    for route, requests, expected in (
        ("live", live, 200),
        ("join", joins([deal_id], market.tokens(name, count)), 201),
    ):
        outcome, cpu = await servers.load(closed(servers.port, requests, OPTIONS, count=count))
        require_only(outcome, (expected,), route)
        samples.add(route, outcome, cpu)


@asynccontextmanager
async def _serving(stores: Stores, module: str) -> AsyncIterator[Servers]:
    port = _free_port()
    with pinned(stores.cores.servers):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(port)),
            env=stores.environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    try:
        yield Servers(stores, port, (process.pid,), ())
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)


async def _ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            try:
                if (await http.get("/health/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # It does not listen yet.
            await asyncio.sleep(POLL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    asyncio.run(main())
