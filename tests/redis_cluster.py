"""A Redis Cluster of embedded servers, whose slots can be moved and whose servers can be killed."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.exceptions import RedisError

from pintuan.base.stores.embedded import EmbeddedRedis
from tests.waiting import until

HOST = "127.0.0.1"
# The servers' bus listens on the port this much above a server's own (Redis Cluster tutorial).
BUS_PORT_OFFSET = 10_000
PORTS_TRIED_MAX = 100
# After this long without an answer a server counts as gone, and a replica of it takes its place.
NODE_TIMEOUT_MS = 1_000
CALL_TIMEOUT_S = 5.0
KEYS_AT_ONCE = 10


class ClusterServer(EmbeddedRedis):
    """One server of the cluster, on a TCP port, because clusters know no Unix sockets."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = free_port()
        self.node_id = ""

    async def call(self, *command: Any) -> Any:
        """One command to this very server."""
        # What `execute_command` takes and returns has no types.
        client: Any
        async with Redis(host=HOST, port=self.port, socket_timeout=CALL_TIMEOUT_S) as client:
            return await client.execute_command(*command)

    async def run_id(self) -> str:
        """The name of the server's process."""
        async with Redis(host=HOST, port=self.port, socket_timeout=CALL_TIMEOUT_S) as client:
            return str((await client.info("server"))["run_id"])

    def _configuration(self, socket: Path) -> str:
        options = {
            "bind": HOST,
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            # Lanes on other servers go on when one is away.
            "cluster-require-full-coverage": "no",
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync-delay": "0",
        }
        lines = "".join(f"{name} {value}\n" for name, value in options.items())
        return super()._configuration(socket).replace("port 0\n", f"port {self.port}\n{lines}")


class Cluster:
    """Three servers that hold all slots between them, and replicas of the first ones."""

    def __init__(self, primaries: list[ClusterServer], replicas: list[ClusterServer]) -> None:
        self.primaries = primaries
        self.replicas = replicas

    @property
    def url(self) -> str:
        """Names two of its servers."""
        first, second, *_ = self.primaries
        return f"redis+cluster://{HOST}:{first.port},{HOST}:{second.port}"

    @property
    def servers(self) -> list[ClusterServer]:
        return [*self.primaries, *self.replicas]

    async def form(self) -> None:
        """Makes one cluster of servers that do not know each other."""
        for server in self.servers:
            server.node_id = (await server.call("CLUSTER", "MYID")).decode()
        first, *others = self.servers
        for other in others:
            await other.call("CLUSTER", "MEET", HOST, first.port)
        share = -(-REDIS_CLUSTER_HASH_SLOTS // len(self.primaries))
        for number, primary in enumerate(self.primaries):
            slots = range(number * share, min((number + 1) * share, REDIS_CLUSTER_HASH_SLOTS))
            await primary.call("CLUSTER", "ADDSLOTS", *slots)
        await until(self._all_know_all)
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            await replica.call("CLUSTER", "REPLICATE", primary.node_id)
        await until(self.is_whole)

    async def holder_of(self, slot: int) -> ClusterServer:
        """The server whose slot it is, by what the servers say of themselves."""
        for server in self.servers:
            if server.returncode is not None:
                continue
            for first, last, primary, *_ in await server.call("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(known for known in self.servers if known.port == primary[1])
        raise AssertionError(f"nobody holds slot {slot}")

    async def slots_of(self, server: ClusterServer) -> set[tuple[int, int]]:
        """The ranges of slots that a server says are its own."""
        return await self._ranges(server, server)

    async def all_agree(self, holder: ClusterServer, slots: set[tuple[int, int]]) -> bool:
        """Whether every server that runs says that these slots are the holder's."""
        for server in self.servers:
            if server.returncode is None and not slots <= await self._ranges(server, holder):
                return False
        return True

    async def _ranges(self, asked: ClusterServer, holder: ClusterServer) -> set[tuple[int, int]]:
        answer = await asked.call("CLUSTER", "SLOTS")
        return {(first, last) for first, last, primary, *_ in answer if primary[1] == holder.port}

    async def move_slot(
        self, slot: int, target: ClusterServer, *, halfway: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Moves a slot with its keys, as `redis-cli --cluster reshard` does; `halfway` runs amid the keys."""
        source = await self.holder_of(slot)
        await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
        await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
        keys = await source.call("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE)
        if halfway is not None:
            await self._migrate(source, target, keys[: len(keys) // 2])
            await halfway()
        while keys := await source.call("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
            await self._migrate(source, target, keys)
        for server in (target, source, *(known for known in self.primaries if known not in (target, source))):
            await server.call("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)

    async def is_whole(self) -> bool:
        """Whether every server that runs knows of every slot and of every replica's primary."""
        for server in self.servers:
            if server.returncode is not None:
                continue
            try:
                info = (await server.call("CLUSTER", "INFO")).decode()
                about = await server.call("INFO", "everything")
            except (RedisError, OSError):
                return False
            covered = f"cluster_slots_ok:{REDIS_CLUSTER_HASH_SLOTS}" in info
            # A replica that writes its first file does not end when it is asked to.
            written = not (about["aof_rewrite_in_progress"] or about["aof_rewrite_scheduled"])
            if not (covered and written and about.get("master_link_status", "up") == "up"):
                return False
        return True

    async def _all_know_all(self) -> bool:
        for server in self.servers:
            info = (await server.call("CLUSTER", "INFO")).decode()
            if f"cluster_known_nodes:{len(self.servers)}" not in info or "cluster_state:ok" not in info:
                return False
        return True

    async def _migrate(self, source: ClusterServer, target: ClusterServer, keys: list[bytes]) -> None:
        if keys:
            timeout_ms = round(CALL_TIMEOUT_S * 1000)
            await source.call("MIGRATE", HOST, target.port, "", 0, timeout_ms, "KEYS", *keys)


@asynccontextmanager
async def running_cluster(directory: Path, *, replicas: int = 0) -> AsyncIterator[Cluster]:
    """A new cluster of three primaries, some of which have a replica each, for the life of the block."""
    primaries = [ClusterServer(directory / f"primary-{number}") for number in range(3)]
    copies = [ClusterServer(directory / f"replica-{number}") for number in range(replicas)]
    cluster = Cluster(primaries, copies)
    async with AsyncExitStack() as stack:
        for server in cluster.servers:
            server.prepare()
            await server.start()
            stack.push_async_callback(server.stop)
        for server in cluster.servers:
            await server.wait_ready()
        await cluster.form()
        yield cluster


def free_port() -> int:
    """A port that is free, and so is the one of the bus that belongs to it."""
    for _ in range(PORTS_TRIED_MAX):
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        try:
            with socket.socket() as own, socket.socket() as bus:
                own.bind((HOST, port))
                bus.bind((HOST, port + BUS_PORT_OFFSET))
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")
