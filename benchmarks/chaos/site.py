"""A living marketplace to be harmed: two nodes, their stores, and a proxy between any two of them.

    async with open_site(directory) as site:
        site.addresses            where the API answers: each node directly, and each through a proxy
        await site.heal()         everything runs, passes and has room again

The stores are embedded ones, started by the harness itself so that they can be killed, stopped and restored;
nodes reach them by TCP through `site.links`. Postgres and the placing Redis have small disks of their own
where this process may mount them.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg
import httpx

from benchmarks.chaos.disks import Disk
from benchmarks.chaos.nodes import Node
from benchmarks.chaos.plan import NODES
from benchmarks.chaos.proxy import Link, Upstream, open_link
from benchmarks.chaos.wire import HOST, Address
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

POSTGRES_DISK_MIB: Final = 3_072
REDIS_DISK_MIB: Final = 512
READY_WAIT_S: Final = 90.0
READY_POLL_S: Final = 0.1
READY_CALL_TIMEOUT_S: Final = 3.0
CONNECT_TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 60.0
# Recovery after a kill replays little, and a full disk holds little else.
POSTGRES_SETTINGS: Final = {"max_wal_size": "256MB", "min_wal_size": "80MB", "wal_keep_size": "0"}
_SOCKET: Final = ".s.PGSQL.5432"


class NotHealedError(Exception):
    """The marketplace did not come back after its faults ended; the text says what is missing."""


class Site:
    """Stores, nodes and links; nemeses act on these."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secret_key = secrets.token_hex(32)
        self.disks = {
            "postgres": Disk(directory / "pg", POSTGRES_DISK_MIB),
            "redis": Disk(directory / "rd", REDIS_DISK_MIB),
        }
        logs = directory / "log"
        self.postgres = EmbeddedPostgres(
            self.disks["postgres"].path / "data", log=logs / "postgres.log", settings=POSTGRES_SETTINGS
        )
        # The second one is there to take the first one's place, and the other way round.
        self.redis = EmbeddedRedis(self.disks["redis"].path / "a", log=logs / "redis-a.log")
        self.spare_redis = EmbeddedRedis(self.disks["redis"].path / "b", log=logs / "redis-b.log")
        self.queue = EmbeddedRedis(directory / "queue", log=logs / "queue.log")
        # By what is at their other end; each node has its own.
        self.links: dict[str, list[Link]] = {name: [] for name in ("postgres", "redis", "queue", "clients")}
        self.nodes: list[Node] = []
        self.addresses: list[Address] = []
        self.sim_offset_ms = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Starts everything; `stack` ends it. Raises EmbeddedError, NodeError, OSError."""
        for disk in self.disks.values():
            stack.callback(disk.unmount)
            disk.mount()
        for server in (self.postgres, self.redis, self.spare_redis, self.queue):
            server.prepare()
        for server in (self.postgres, self.redis, self.queue):
            stack.push_async_callback(_stop_any, server)
            await server.start()
            await server.wait_ready()
        stack.push_async_callback(_stop_any, self.spare_redis)
        upstreams = {
            "redis": socket_of(self.redis),
            "queue": socket_of(self.queue),
            "postgres": self._postgres_socket(),
        }
        for number in range(NODES):
            for name, upstream in upstreams.items():
                await self._open_link(stack, name, upstream)
            node = Node(f"node-{number}", self.directory, free_port(), self._environment_of(number))
            self.nodes.append(node)
            stack.push_async_callback(node.stop)
        # One after the other, so that one of them migrates.
        for node in self.nodes:
            await self.start_node(node)
        for node in self.nodes:
            await self._open_link(stack, "clients", (HOST, node.port))
        ports = [node.port for node in self.nodes] + [link.port for link in self.links["clients"]]
        self.addresses = [Address(port) for port in ports]

    async def start_node(self, node: Node, *, workers: int = 1, clock_offset_ms: int = 0) -> None:
        """Starts a node and waits until it is ready. Raises NodeError."""
        await self.spawn_node(node, workers=workers, clock_offset_ms=clock_offset_ms)
        await node.wait_ready()

    async def spawn_node(self, node: Node, *, workers: int = 1, clock_offset_ms: int = 0) -> None:
        """The same without the waiting."""
        await node.spawn(
            workers=workers,
            PINTUAN_CLOCK_OFFSET_MS=str(clock_offset_ms),
            PINTUAN_SIM_OFFSET_MS=str(self.sim_offset_ms),
        )

    async def connect(self) -> asyncpg.Connection:
        """Opens a connection to Postgres past every proxy; the caller closes it."""
        return await asyncpg.connect(
            self.postgres.url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"pintuan.sim_offset_ms": str(self.sim_offset_ms)},
        )

    def command_environment(self) -> dict[str, str]:
        """What a `pintuan` command beside the nodes needs to find the stores, past every proxy."""
        return {
            **self._environment(),
            "PINTUAN_DATABASE_URL": self.postgres.url,
            "PINTUAN_REDIS_URL": self.redis.url,
            "PINTUAN_QUEUE_REDIS_URL": self.queue.url,
            "PINTUAN_SIM_OFFSET_MS": str(self.sim_offset_ms),
            "PINTUAN_DATA_DIR": str(self.directory / "audit"),
        }

    async def heal(self) -> None:
        """Ends whatever is still being done to anything, and waits until all nodes are ready.

        Raises NotHealedError, EmbeddedError, NodeError.
        """
        for link in itertools.chain.from_iterable(self.links.values()):
            link.heal()
        for disk in self.disks.values():
            disk.heal()
        for node in self.nodes:
            node.resume()
            if node.ended_with is not None and node.returning:
                # It came back while a store was away and gave up, as it should; its operator starts it again.
                await self.spawn_node(node)
        await asyncio.gather(*(self._ready(node) for node in self.nodes))

    async def restart_store(self, server: EmbeddedPostgres | EmbeddedRedis) -> None:
        """Starts a store that has ended and waits until it answers. Raises EmbeddedError."""
        await server.start()
        await server.wait_ready()

    async def _ready(self, node: Node) -> None:
        said = "no answer"
        async with httpx.AsyncClient(timeout=READY_CALL_TIMEOUT_S, trust_env=False) as http:
            try:
                async with asyncio.timeout(READY_WAIT_S):
                    while True:
                        if node.ended_with is not None:
                            raise NotHealedError(f"{node.name} ended by itself with {node.ended_with}")
                        try:
                            response = await http.get(f"http://{HOST}:{node.port}/health/ready")
                            said = f"{response.status_code} {response.text}"
                            if response.is_success and node.children("worker"):
                                return
                        except httpx.TransportError as error:
                            said = repr(error)
                        await asyncio.sleep(READY_POLL_S)
            except TimeoutError:
                raise NotHealedError(
                    f"{node.name} is not ready {READY_WAIT_S:.0f} s after the faults: {said}"
                ) from None

    def _environment(self) -> dict[str, str]:
        return {
            "PINTUAN_ENV": "dev",
            "PINTUAN_RATE_LIMITS": "off",
            "PINTUAN_QUIET_HOURS": "off",
            "PINTUAN_SECRET_KEY": self.secret_key,
        }

    def _environment_of(self, number: int) -> dict[str, str]:
        """What a node is told: to reach each store through its own link."""
        postgres, redis, queue = (self.links[name][number].port for name in ("postgres", "redis", "queue"))
        return {
            **self._environment(),
            "PINTUAN_DATABASE_URL": f"postgresql://postgres@{HOST}:{postgres}/pintuan?sslmode=disable",
            "PINTUAN_REDIS_URL": f"redis://{HOST}:{redis}/0",
            "PINTUAN_QUEUE_REDIS_URL": f"redis://{HOST}:{queue}/0",
        }

    async def _open_link(self, stack: AsyncExitStack, name: str, upstream: Upstream) -> None:
        link = await open_link(upstream)
        stack.push_async_callback(link.close)
        self.links[name].append(link)

    def _postgres_socket(self) -> str:
        return f"{self.postgres.url.partition('host=')[2]}/{_SOCKET}"


@asynccontextmanager
async def open_site(directory: Path) -> AsyncIterator[Site]:
    """Runs a fresh marketplace in `directory`, which must be empty, for the life of the block."""
    site = Site(directory)
    async with AsyncExitStack() as stack:
        await site.open(stack)
        yield site
        for address in site.addresses:
            address.close()
        # In the order of a shutdown: nobody should look for a store that is gone.
        await asyncio.gather(*(node.stop() for node in site.nodes))


def socket_of(redis: EmbeddedRedis) -> str:
    """The path of a Redis' socket."""
    return redis.url.removeprefix("unix://").partition("?")[0]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


async def _stop_any(server: EmbeddedPostgres | EmbeddedRedis) -> None:
    await server.stop()
