"""A noun hears each event exactly once, in order, and waits for no other noun and for no event that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from pintuan import nouns
from pintuan.base.events.event import Event, Reactions
from pintuan.base.events.hearing import Hearer
from pintuan.base.events.jobs import EventJobs
from pintuan.base.events.store import count_unheard
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.telemetry.metrics import UNHEARD_EVENT_AGE, UNHEARD_EVENTS
from pintuan.running.audit import store as audit
from sql import Connection
from tests.poison import heal, noted, poison
from tests.rows import Rows

pytestmark = pytest.mark.anyio

TYPES = ("group.opened", "group.succeeded", "group.failed", "order.authorised", "order.captured")


class Listener:
    """A noun of the tests, whose effects are rows of `effects`; `gate` holds up its reactions."""

    def __init__(self, pool: asyncpg.Pool, noun: str = "trial") -> None:
        self.pool = pool
        self.noun = noun
        self.gate = asyncio.Event()
        self.gate.set()
        self.reacting = asyncio.Event()
        self.reactions = Reactions(dict.fromkeys(TYPES, self.react))

    async def react(self, connection: Connection, events: Sequence[Event]) -> None:
        self.reacting.set()
        await connection.executemany(
            "INSERT INTO effects (noun, type, object_id) VALUES ($1, $2, $3)",
            [(self.noun, event.type, event.object_id) for event in events],
        )
        await self.gate.wait()

    def hearer(self, pool: asyncpg.Pool | None = None) -> Hearer:
        return Hearer(pool or self.pool, self.noun, self.reactions)

    async def effects(self) -> list[tuple[str, str]]:
        rows = await self.pool.fetch(
            "SELECT type, object_id FROM effects WHERE noun = $1 ORDER BY place", self.noun
        )
        return [(row["type"], row["object_id"]) for row in rows]


@pytest.fixture
async def listener(pool: asyncpg.Pool) -> AsyncIterator[Listener]:
    """Hears of everything, on a database that keeps none of its rows for the next test."""
    await pool.execute(
        "CREATE TABLE effects"
        " (place bigint GENERATED ALWAYS AS IDENTITY, noun text, type text, object_id text)"
    )
    await hears(pool, "trial")
    yield Listener(pool)
    await pool.execute("DELETE FROM listeners WHERE noun IN ('trial', 'other')")


@pytest.fixture
async def rows(pool: asyncpg.Pool, listener: Listener) -> Rows:  # noqa: ARG001 - it listens first.
    return await Rows.open(pool)


async def hears(pool: asyncpg.Pool, noun: str) -> None:
    await pool.executemany("INSERT INTO listeners (type, noun) VALUES ($1, $2)", [(t, noun) for t in TYPES])


async def captured(rows: Rows) -> str:
    """An order that was authorised and captured."""
    order = await rows.order()
    await rows.move(order, "authorised")
    await rows.charge(order)
    await rows.move(order, "captured")
    return order


async def test_a_noun_hears_what_became_of_an_order_once_and_in_order(listener: Listener, rows: Rows) -> None:
    order = await captured(rows)
    assert [await listener.hearer().hear(100) for _ in range(2)] == [2, 0]
    assert await listener.effects() == [("order.authorised", order), ("order.captured", order)]
    assert await rows.pool.fetchval("SELECT count(*) FROM events WHERE noun = 'trial'") == 0


async def test_workers_that_hear_at_once_share_the_events(listener: Listener, rows: Rows) -> None:
    orders = [await captured(rows) for _ in range(5)]
    listener.gate.clear()
    first = asyncio.create_task(listener.hearer().hear(4))
    await listener.reacting.wait()
    assert await Listener(rows.pool).hearer().hear(100) == 6, "what the first has taken is left to it"
    listener.gate.set()
    assert await first == 4
    effects = await listener.effects()
    assert sorted(effects) == sorted(
        (type_, order) for order in orders for type_ in ("order.authorised", "order.captured")
    )


async def test_events_of_a_worker_that_dies_are_heard_by_another(
    listener: Listener, rows: Rows, database_url: str
) -> None:
    await captured(rows)
    listener.gate.clear()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as dying:
        pid = await dying.fetchval("SELECT pg_backend_pid()")
        hearing = asyncio.create_task(listener.hearer(dying).hear(100))
        await listener.reacting.wait()
        await rows.pool.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        listener.gate.set()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)):
            await hearing
    assert await listener.effects() == []
    assert await listener.hearer().hear(100) == 2
    assert len(await listener.effects()) == 2


async def test_an_event_that_fails_keeps_no_other_waiting_and_is_heard_later(
    listener: Listener, rows: Rows
) -> None:
    bad, good = await captured(rows), await captured(rows)
    await poison(rows.pool, "effects", "object_id", [bad])
    hearer = listener.hearer()
    assert await hearer.hear(100) == 2
    assert await listener.effects() == [("order.authorised", good), ("order.captured", good)]
    assert list((await noted(rows.pool)).values()) == [1, 1]
    assert await hearer.hear(100) == 0

    await heal(rows.pool)
    (tried,) = hearer.second_tries().values()
    assert await tried(list(await noted(rows.pool))) == 2
    assert await listener.effects() == [
        (type_, order) for order in (good, bad) for type_ in ("order.authorised", "order.captured")
    ]


async def test_a_slow_noun_keeps_no_other_waiting(listener: Listener, rows: Rows) -> None:
    await hears(rows.pool, "other")
    other = Listener(rows.pool, "other")
    await captured(rows)
    listener.gate.clear()
    jobs = ProcessJobs()
    jobs.add(EventJobs(rows.pool, {"trial": listener.reactions, "other": other.reactions}, jobs))
    slow = asyncio.create_task(jobs.run("events"))
    await asyncio.gather(listener.reacting.wait(), other.reacting.wait())
    later = await rows.group()
    while ("group.opened", later) not in await other.effects():
        await jobs.run("events")
    assert not slow.done()
    listener.gate.set()
    await slow
    await jobs.close()
    assert await listener.effects() == await other.effects()


async def test_what_a_noun_has_not_heard_is_counted_and_told(listener: Listener, rows: Rows) -> None:
    order = await captured(rows)
    await rows.pool.execute("UPDATE events SET happened_at = happened_at - interval '2 minutes'")
    jobs = ProcessJobs()
    jobs.add(EventJobs(rows.pool, {"trial": listener.reactions}, jobs))
    await jobs.run("event samples")
    assert UNHEARD_EVENTS.labels("trial")._value.get() == 2
    assert 119 < UNHEARD_EVENT_AGE.labels("trial")._value.get() < 150
    async with rows.pool.acquire() as connection:
        assert "trial" in {one.id for one in await audit.offenders(connection, audit.UNHEARD)}

    # An event that fails is shown as a setback, and the noun hears all the same.
    await poison(rows.pool, "effects", "object_id", [order])
    await jobs.run("events")
    assert (await count_unheard(rows.pool))["trial"] == (2, 0)
    async with rows.pool.acquire() as connection:
        assert "trial" not in {one.id for one in await audit.offenders(connection, audit.UNHEARD)}
    await jobs.close()


async def test_the_database_tells_each_noun_what_its_reactions_are_for(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch("SELECT noun, array_agg(type) AS types FROM listeners GROUP BY noun")
    assert {row["noun"]: set(row["types"]) for row in rows} == {
        noun: set(reactions.by_type) for noun, reactions in nouns.reactions().items()
    }
