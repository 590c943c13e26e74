"""What does harm: one function for each kind of fault, called with the fault while shoppers are at it.

Each has ended its harm when it returns: what it stopped goes on, what it ended was started again. A kind that
cannot be done here raises Skipped, which says why.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.proxy import Link, open_link
from benchmarks.chaos.site import socket_of
from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from benchmarks.chaos.nodes import Node
    from benchmarks.chaos.plan import Fault
    from benchmarks.chaos.site import Site
    from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis

AN_HOUR_MS: Final = 3_600_000
REDIS_TIMEOUT_S: Final = 5.0
SYNC_WAIT_S: Final = 10.0
SYNC_POLL_S: Final = 0.02
ENDED_POLL_S: Final = 0.05
# Less than an empty server uses, so that every write is refused.
FULL_BYTES: Final = 1
NOBODYS_PORT: Final = 1
SLOWER_S: Final = 0.12
# How a process that serves a connection to our database calls itself.
BACKEND: Final = "postgres: postgres pintuan "
STATEMENTS: Final = kit_statements("chaos/nemeses")
APPEND_ONLY_FILE: Final = "appendonly.aof"


Nemesis: TypeAlias = "Callable[[Site, Fault], Awaitable[None]]"


class Skipped(Exception):
    """This machine cannot do the fault; the text says why."""


async def _lasting(fault: Fault) -> None:
    await asyncio.sleep(fault.lasting_ms / 1000)


async def kill_api(site: Site, fault: Fault) -> None:
    site.nodes[fault.node].kill("api")


async def kill_worker(site: Site, fault: Fault) -> None:
    site.nodes[fault.node].kill("worker")


async def kill_all_children(site: Site, _fault: Fault) -> None:
    for node in site.nodes:
        node.kill("api", "worker")


async def kill_supervisor(site: Site, fault: Fault) -> None:
    node = site.nodes[fault.node]
    await node.kill_supervisor()
    await _lasting(fault)
    await _come_back(site, node)


async def stop_api(site: Site, fault: Fault) -> None:
    await _pause(site.nodes[fault.node : fault.node + 1], fault, "api")


async def stop_worker(site: Site, fault: Fault) -> None:
    await _pause(site.nodes[fault.node : fault.node + 1], fault, "worker")


async def stop_all_workers(site: Site, fault: Fault) -> None:
    await _pause(site.nodes, fault, "worker")


async def stop_supervisor(site: Site, fault: Fault) -> None:
    await _pause(site.nodes[fault.node : fault.node + 1], fault)


async def roll(site: Site, fault: Fault) -> None:
    site.nodes[fault.node].roll()


async def clock_ahead(site: Site, fault: Fault) -> None:
    await _with_clock(site, fault, AN_HOUR_MS)


async def clock_behind(site: Site, fault: Fault) -> None:
    await _with_clock(site, fault, -AN_HOUR_MS)


async def kill_postgres(site: Site, fault: Fault) -> None:
    await site.postgres.kill()
    await _lasting(fault)
    await site.restart_store(site.postgres)


async def kill_backend(site: Site, _fault: Fault) -> None:
    backends = [child for child in _family(site.postgres) if BACKEND in " ".join(child.cmdline())]
    if backends:
        with suppress(psutil.Error):
            backends[0].kill()
    # It may end as a whole where it cannot restart its processes, say for want of room.
    await asyncio.sleep(ENDED_POLL_S)


async def stop_postgres(site: Site, fault: Fault) -> None:
    pids = [process.pid for process in _family(site.postgres)]
    await _stopped(pids, fault)


async def restart_postgres(site: Site, _fault: Fault) -> None:
    await site.postgres.stop()
    await site.restart_store(site.postgres)


async def fill_postgres(site: Site, fault: Fault) -> None:
    disk = site.disks["postgres"]
    if not disk.fill():
        raise Skipped("no disk of its own could be mounted")
    await _lasting(fault)
    disk.heal()
    await asyncio.sleep(ENDED_POLL_S)
    if site.postgres.returncode is not None:
        # It could not write its log of changes, and panicked.
        await site.restart_store(site.postgres)


async def readonly_postgres(site: Site, fault: Fault) -> None:
    async with _psql(site) as postgres:
        await postgres.execute(STATEMENTS["take_no_writes"])
        await postgres.execute(STATEMENTS["reload"])
        try:
            await _lasting(fault)
        finally:
            await postgres.execute(STATEMENTS["take_writes"])
            await postgres.execute(STATEMENTS["reload"])


async def lock_postgres(site: Site, fault: Fault) -> None:
    async with _psql(site) as postgres, postgres.transaction():
        await postgres.execute(STATEMENTS["lock_what_is_written"])
        await _lasting(fault)


async def kill_redis(site: Site, fault: Fault) -> None:
    await site.redis.kill()
    await _lasting(fault)
    await site.restart_store(site.redis)


async def stop_redis(site: Site, fault: Fault) -> None:
    await _stopped([process.pid for process in _family(site.redis)], fault)


async def flush_redis(site: Site, _fault: Fault) -> None:
    await _tell(site.redis, "FLUSHALL")


async def restore_redis(site: Site, fault: Fault) -> None:
    file = site.redis.directory / APPEND_ONLY_FILE
    old = file.read_bytes()
    await _lasting(fault)
    await site.redis.kill()
    file.write_bytes(old)
    await site.restart_store(site.redis)


async def promote_redis(site: Site, fault: Fault) -> None:
    former, successor = site.redis, site.spare_redis
    for file in successor.directory.glob("*.aof"):
        file.unlink()
    replication = await open_link(socket_of(former))
    try:
        await site.restart_store(successor)
        await _tell(successor, "REPLICAOF", "127.0.0.1", replication.port)
        await _synchronised(successor)
        # From here on it misses what the primary is told.
        replication.refuse()
        replication.cut()
        await _lasting(fault)
        await _tell(successor, "REPLICAOF", "NO", "ONE")
    finally:
        await replication.close()
    await former.kill()
    site.redis, site.spare_redis = successor, former
    for link in site.links["redis"]:
        link.upstream = socket_of(successor)
        link.cut()


async def fill_redis(site: Site, fault: Fault) -> None:
    disk = site.disks["redis"]
    if not disk.fill():
        raise Skipped("no disk of its own could be mounted")
    await _lasting(fault)
    disk.heal()
    if site.redis.returncode is not None:
        await site.restart_store(site.redis)


async def full_redis(site: Site, fault: Fault) -> None:
    await _full(site.redis, fault)


async def readonly_redis(site: Site, fault: Fault) -> None:
    # A primary that nobody is: it keeps what it has, and asks in vain for more.
    await _tell(site.redis, "REPLICAOF", "127.0.0.1", NOBODYS_PORT)
    await _lasting(fault)
    await _tell(site.redis, "REPLICAOF", "NO", "ONE")


async def forget_scripts(site: Site, _fault: Fault) -> None:
    await _tell(site.redis, "SCRIPT", "FLUSH")


async def kill_queue(site: Site, fault: Fault) -> None:
    await site.queue.kill()
    (site.queue.directory / APPEND_ONLY_FILE).unlink(missing_ok=True)
    await _lasting(fault)
    await site.restart_store(site.queue)


async def stop_queue(site: Site, fault: Fault) -> None:
    await _stopped([process.pid for process in _family(site.queue)], fault)


async def full_queue(site: Site, fault: Fault) -> None:
    await _full(site.queue, fault)


async def flush_queue(site: Site, _fault: Fault) -> None:
    await _tell(site.queue, "FLUSHALL")


def _stall(name: str) -> Nemesis:
    async def stall(site: Site, fault: Fault) -> None:
        links = _links(site, name, fault)
        for link in links:
            link.stall()
        await _lasting(fault)
        for link in links:
            link.resume()

    return stall


def _slow(name: str) -> Nemesis:
    async def slow(site: Site, fault: Fault) -> None:
        for link in _links(site, name, fault):
            link.slow_down(SLOWER_S)
        await _lasting(fault)
        for link in _links(site, name, fault):
            link.slow_down(0.0)

    return slow


def _cut(name: str) -> Nemesis:
    async def cut(site: Site, fault: Fault) -> None:
        links = _links(site, name, fault)
        for link in links:
            link.refuse()
            link.cut()
        await _lasting(fault)
        for link in links:
            link.accept()

    return cut


def _half_close(name: str) -> Nemesis:
    async def half_close(site: Site, fault: Fault) -> None:
        links = _links(site, name, fault)
        for link in links:
            link.half_close("client" if fault.lasting_ms % 2 else "upstream")
        await _lasting(fault)

    return half_close


async def _nothing(_site: Site, _fault: Fault) -> None:
    """The plan has seen to it."""


def _links(site: Site, name: str, fault: Fault) -> list[Link]:
    links = site.links[name]
    return links if fault.both else [links[fault.node]]


async def _pause(nodes: list[Node], fault: Fault, *names: str) -> None:
    for node in nodes:
        node.pause(*names)
    try:
        await _lasting(fault)
    finally:
        for node in nodes:
            node.resume()


async def _stopped(pids: list[int], fault: Fault) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        await _lasting(fault)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def _full(redis: EmbeddedRedis, fault: Fault) -> None:
    await _tell(redis, "CONFIG", "SET", "maxmemory", FULL_BYTES)
    await _lasting(fault)
    await _tell(redis, "CONFIG", "SET", "maxmemory", 0)


@asynccontextmanager
async def _psql(site: Site) -> AsyncIterator[asyncpg.Connection]:
    """A connection of an operator; a Postgres that ends or hangs meanwhile ends what is done over it.

    Raises Skipped where Postgres takes no connection, as after a full disk ended it.
    """
    try:
        connection = await site.connect()
    except (asyncpg.PostgresError, OSError) as error:
        raise Skipped(f"Postgres took no connection: {error}") from error
    try:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            yield connection
    finally:
        connection.terminate()


async def _with_clock(site: Site, fault: Fault, offset_ms: int) -> None:
    node = site.nodes[fault.node]
    await node.stop()
    await _come_back(site, node, clock_offset_ms=offset_ms)


async def _come_back(site: Site, node: Node, *, clock_offset_ms: int = 0) -> None:
    """Starts a node; one that finds a store away gives up, and `Site.heal` starts it once more."""
    node.returning = True
    await site.spawn_node(node, clock_offset_ms=clock_offset_ms)


async def _tell(redis: EmbeddedRedis, *command: Any) -> None:
    client: Any
    async with Redis.from_url(redis.url, socket_timeout=REDIS_TIMEOUT_S) as client:
        with suppress(RedisError):
            await client.execute_command(*command)


async def _synchronised(replica: EmbeddedRedis) -> None:
    async with Redis.from_url(replica.url, socket_timeout=REDIS_TIMEOUT_S) as client:
        async with asyncio.timeout(SYNC_WAIT_S):
            while (await client.info("replication")).get("master_link_status") != "up":  # noqa: ASYNC110 - another process sets no event.
                await asyncio.sleep(SYNC_POLL_S)


def _family(server: EmbeddedPostgres | EmbeddedRedis) -> list[psutil.Process]:
    with suppress(psutil.Error):
        parent = psutil.Process(server.pid)
        return [parent, *parent.children(recursive=True)]
    return []


NEMESES: Final[dict[str, Nemesis]] = {
    **{
        act.__name__: act
        for act in (
            *(kill_api, kill_worker, kill_all_children, kill_supervisor),
            *(stop_api, stop_worker, stop_all_workers, stop_supervisor, roll, clock_ahead, clock_behind),
            *(kill_postgres, kill_backend, stop_postgres, restart_postgres, fill_postgres),
            *(readonly_postgres, lock_postgres),
            *(kill_redis, stop_redis, flush_redis, restore_redis, promote_redis, fill_redis),
            *(full_redis, readonly_redis, forget_scripts),
            *(kill_queue, stop_queue, full_queue, flush_queue),
        )
    },
    **{f"stall_{name}": _stall(name) for name in ("redis", "queue", "postgres", "clients")},
    **{f"lose_{name}": _stall(name) for name in ("redis", "postgres")},
    **{f"slow_{name}": _slow(name) for name in ("redis", "postgres")},
    **{f"cut_{name}": _cut(name) for name in ("redis", "queue", "postgres", "clients")},
    **{f"half_close_{name}": _half_close(name) for name in ("redis", "queue", "postgres", "clients")},
    "freeze_api": stop_api,
    "freeze_postgres": stop_postgres,
    "gateway": _nothing,
    "transfers": _nothing,
}
"""By kind, but for `days_away`, which needs the round's shoppers (`benchmarks.chaos.round`)."""
