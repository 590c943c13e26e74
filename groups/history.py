"""Notices that Postgres went back to an earlier state, and makes Redis forget what it knows of the later one.

A restored backup has epochs that Redis, which kept running, may believe in. It lacks orders that Redis
remembers as recorded. Redis therefore also keeps how far Postgres had come: the name of its history, a
position in it, and a beacon. A beacon is a random value that was committed in Postgres first. Where the name
is another, the position is behind, or the beacon is gone, Redis knows too much. The beacon reveals a disk
that was put back under the same name and has since moved past the position Redis remembers.

Every server of a cluster keeps its own memory: a loss on one says nothing of the others. With it stands which
process it was that led there. A server that led before, gave way to its replica and leads again has lanes
that look right to it. They may lack what happened meanwhile. A server that has evicted keys is not believed
either: they may have been part of a lane.

A Redis that another marketplace tells as well was not restored. Each of the two would undo the other's
forgetting every few seconds; so each goes on with its lanes, and is told of the other.
"""

from __future__ import annotations

import functools
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

import asyncpg
from redis.exceptions import ResponseError

from groups.connections import Connections, Home, Lent
from groups.errors import Overloaded
from groups.keys import ALL_KEYS, EVERY_META, HISTORY, history_key
from groups.lane_store import LaneStore
from groups.long_reads import allow_long_reads
from groups.tellers import Teller, Tellers
from sql import load_queries
from sql.retry import retry_serialization

HISTORIES = load_queries("groups.queries", "history")
SCAN_COUNT = 1_000
# At a thousand keys each, far more than a Redis holds.
SCANS_MAX = 1_000_000
# Servers that led a part of the cluster before, the latest of them.
FORMER_MAX = 8
# A new beacon is lit when the last is this old; a look before that takes the last one.
BEACON_EVERY_S = 4.0
# More than a day of them. Redis remembers the last beacon it was told, however old. Only a cluster's server
# that was away this long, while others were told of new beacons, is taken to know too much.
BEACONS_KEPT = 30_000
RAISE_STATEMENT_TIMEOUT_S = 25.0
RAISE_TIMEOUT_S = 30.0
BEACON_BYTES = 16
_EVICTED = re.compile(rb"^evicted_keys:(\d+)", re.MULTILINE)

_log = logging.getLogger("groups.history")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that keeps lanes: its process, how many keys it has evicted, and the key of its `Memory`."""

    home: Home
    run_id: str
    evicted: int
    history_key: str


@dataclass(frozen=True, slots=True)
class Memory:
    """A server's memory of Postgres, the run id of the Redis process that kept it, and earlier run ids.

    `evicted` is how many keys that process had evicted by then.
    """

    name: str
    position: int
    beacon: str
    run_id: str
    evicted: int
    former: tuple[str, ...]
    teller: str


@dataclass(frozen=True, slots=True)
class Known:
    """A server's knowledge: the last teller's `Memory`, if there was one, and all that tell it."""

    memory: Memory | None
    tellers: Tellers


@dataclass(frozen=True, slots=True)
class Position:
    """Where Postgres is: in which history, how far, and under which teller's name. `lit` are its beacons."""

    name: str
    position: int
    teller: str
    database: str
    lit: Collection[str]

    def contradicts(self, known: Known) -> bool:
        """Says whether a server remembers a later state than this one, unless it is that of a neighbour."""
        memory = known.memory
        neighbours = known.tellers.neighbours(self.teller, self.lit)
        if memory is None or memory.teller in {neighbour.name for neighbour in neighbours}:
            return False
        return (
            memory.name != self.name
            or memory.position > self.position
            or (memory.beacon != "" and memory.beacon not in self.lit)
        )


def _nobody(_: Sequence[Teller]) -> None:
    """Listens to nothing."""


async def follow_history(
    pool: asyncpg.Pool, store: LaneStore, *, on_neighbours: Callable[[Sequence[Teller]], None] = _nobody
) -> bool:
    """Tells Redis how far Postgres has come; returns whether it had gone back, and Redis had to forget.

    `on_neighbours` hears each time of the other marketplaces that tell this Redis. A server of a cluster that
    does not answer is asked the next time. Raises Overloaded where none answers, asyncpg.PostgresError and
    OSError.
    """
    # Redis is read first: its state was read from Postgres before our own look, so it cannot be ahead of it.
    remembered = await remembered_by(store.connections)
    found = await position_of(pool, remembered.values())
    gone_back = [known.memory for known in remembered.values() if known.memory and found.contradicts(known)]
    if gone_back:
        _log.warning(
            "Postgres is at %s of %s and Redis remembers %s of %s: every lane is rebuilt",
            found.position,
            found.name,
            gone_back[0].position,
            gone_back[0].name,
        )
        await forget_lanes(pool, store.connections, list(remembered))
    # The beacon is committed before Redis is told of it, so Postgres had everything Redis knows.
    beacon: str = await pool.fetchval(
        HISTORIES["light_beacon"], secrets.token_hex(BEACON_BYTES), BEACON_EVERY_S, BEACONS_KEPT
    )
    for server, known in remembered.items():
        why = _why_disbelieved(server, known.memory)
        if why is not None:
            await _forget_own_lanes(store.connections, server, why)
        await _tell(store, server, known, found, beacon)
    on_neighbours(
        [n for known in remembered.values() for n in known.tellers.neighbours(found.teller, found.lit)]
    )
    return bool(gone_back)


async def position_of(pool: asyncpg.Pool, told: Collection[Known]) -> Position:
    """Returns where Postgres is, and which of the beacons that servers know it has lit."""
    [found] = await pool.fetch(HISTORIES["postgres_position"])
    beacons = {known.memory.beacon for known in told if known.memory is not None}
    beacons |= {teller.beacon for known in told for teller in known.tellers.known.values()}
    lit = {row["value"] for row in await pool.fetch(HISTORIES["lit_beacons"], list(beacons))}
    teller = f"{found['name']}:{found['started_us']}"
    return Position(found["name"], found["position"], teller, found["database"], lit)


async def _tell(store: LaneStore, server: Server, known: Known, found: Position, beacon: str) -> None:
    values = _values(server, known.memory, found, beacon)
    values |= known.tellers.told(found.teller, beacon, found.database)
    await store.execute("HSET", server.history_key, *(text for pair in values.items() for text in pair))
    outdated = known.tellers.outdated(found.teller)
    if outdated:
        await store.execute("HDEL", server.history_key, *outdated)


def _why_disbelieved(server: Server, memory: Memory | None) -> str | None:
    """Says why a server's own lanes are not believed; None where they are."""
    if memory is not None and server.run_id != memory.run_id and server.run_id in memory.former:
        return "leads again"
    counted = memory.evicted if memory is not None and server.run_id == memory.run_id else 0
    if server.evicted > counted:
        return f"evicted {server.evicted - counted} keys, so set its maxmemory-policy to noeviction"
    return None


def _values(server: Server, memory: Memory | None, found: Position, beacon: str) -> dict[str, str | int]:
    led = [] if memory is None else [*memory.former, memory.run_id]
    former = [run_id for run_id in dict.fromkeys(led) if run_id and run_id != server.run_id][-FORMER_MAX:]
    return {
        "name": found.name,
        "position": found.position,
        "beacon": beacon,
        "run_id": server.run_id,
        "evicted": server.evicted,
        "former": " ".join(former),
        "teller": found.teller,
    }


async def remembered_by(connections: Connections) -> dict[Server, Known]:
    """Returns what each server that answers knows of Postgres; raises Overloaded where none does."""
    remembered: dict[Server, Known] = {}
    silent: list[Overloaded] = []
    for home, tag in (await connections.homes()).items():
        try:
            server, known = await connections.run(
                history_key(tag), functools.partial(_read, home, history_key(tag))
            )
        except Overloaded as error:
            _log.warning("%s:%d is not told how far Postgres has come: %s", *home, error)
            silent.append(error)
            continue
        remembered[server] = known
    if silent and not remembered:
        raise silent[0]
    return remembered


async def _read(home: Home, key: str, lent: Lent) -> tuple[Server, Known]:
    stats = _EVICTED.search(await lent.call("INFO", "stats"))
    server = Server(home, lent.run_id, int(stats[1]) if stats else 0, key)
    seconds, microseconds = await lent.call("TIME")
    answer = [text.decode() for text in await lent.call("HGETALL", key)]
    fields = dict(zip(answer[::2], answer[1::2], strict=True))
    tellers = Tellers.of(int(seconds) * 1_000 + int(microseconds) // 1_000, fields)
    if "name" not in fields:
        return server, Known(None, tellers)
    memory = Memory(
        fields["name"],
        int(fields["position"]),
        # A version that lit no beacons and counted nothing may have written it.
        fields.get("beacon", ""),
        fields.get("run_id", ""),
        int(fields.get("evicted", "0")),
        tuple(fields.get("former", "").split()),
        fields.get("teller", ""),
    )
    return server, Known(memory, tellers)


async def forget_lanes(pool: asyncpg.Pool, connections: Connections, servers: Sequence[Server]) -> None:
    """Makes Redis forget every lane and request; each is rebuilt from Postgres when it is next asked for.

    Raises as `follow_history` does. The next look finds the same history then, and tries again.
    """
    # A key that moves to a server that was scanned already is found there by the second round.
    for server in servers if len(servers) == 1 else [*servers, *servers]:
        async for keys in _keys(connections, server, ALL_KEYS):
            known = [key for key in keys if not key.endswith(f":{HISTORY}".encode())]
            await _unlink(connections, server, known)
    # Last, because until then a process may have believed in a lane of which half was gone.
    await fence_lanes(pool)


async def fence_lanes(pool: asyncpg.Pool) -> None:
    """Raises the epoch of every lane, so that each is rebuilt when it is next asked for."""
    await retry_serialization(functools.partial(_raise_epochs, pool))


async def _forget_own_lanes(connections: Connections, server: Server, why: str) -> None:
    """Makes a server rebuild the lanes it had filled itself; raises Overloaded."""
    name = f"{server.home.host}:{server.home.port}" if server.home.host else "Redis"
    _log.warning("%s %s: its lanes of before are rebuilt", name, why)
    async for keys in _keys(connections, server, EVERY_META):
        async with connections.lend_at(server.home) as lent:
            tokens = await lent.call_all([("HGET", key, "token") for key in keys])
        own = f":{server.run_id}".encode()
        # Without its meta hash a lane is cold, whatever other keys it has.
        stale = [key for key, token in zip(keys, tokens, strict=True) if _ends(token, own)]
        await _unlink(connections, server, stale)


def _ends(token: object, end: bytes) -> bool:
    return isinstance(token, bytes) and token.endswith(end)


async def _keys(connections: Connections, server: Server, pattern: str) -> AsyncIterator[list[bytes]]:
    """Yields a server's keys by the handful; raises Overloaded."""
    cursor = b"0"
    for _ in range(SCANS_MAX):
        async with connections.lend_at(server.home) as lent:
            cursor, keys = await lent.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
        if keys:
            yield keys
        if cursor == b"0":
            return


async def _unlink(connections: Connections, server: Server, keys: Sequence[bytes]) -> None:
    """Removes keys that were found on a server; raises Overloaded."""
    of_slots: dict[bytes, list[bytes]] = {}
    for key in keys:
        of_slots.setdefault(key.partition(b"}")[0], []).append(key)
    async with connections.lend_at(server.home) as lent:
        answers = await lent.call_all([("UNLINK", *of_slot) for of_slot in of_slots.values()])
    for of_slot, answer in zip(of_slots.values(), answers, strict=True):
        if isinstance(answer, ResponseError):
            # The slot is on its way to another server, or there.
            await connections.run(of_slot[0].decode(), functools.partial(_unlink_there, of_slot))


async def _unlink_there(keys: Sequence[bytes], lent: Lent) -> None:
    await lent.call("UNLINK", *keys)


async def _raise_epochs(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await allow_long_reads(connection, RAISE_STATEMENT_TIMEOUT_S)
        await connection.execute(HISTORIES["raise_all_epochs"], timeout=RAISE_TIMEOUT_S)
