"""A worker's jobs on a database of their own, for trials of rows that always fail."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from groups.engine import GroupEngine
from pintuan.base.keyring import Keyring
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.people.notifications.courier import Courier
from pintuan.people.notifications.message import Message
from pintuan.people.personal.erasures import Eraser
from pintuan.reach.nudges.service import Nudger
from tests.market import Market
from tests.receiver import HOST, Names, Receiver, receiving
from tests.rows import Rows
from workers.jobs import Jobs, Stores
from workers.people import People
from workers.webhooks import Webhooks

KEYRING = Keyring("a key that seals things in tests and nowhere else")
FORMER = Keyring("the key before that one")
ROTATED = Keyring("a key that seals things in tests and nowhere else", ["the key before that one"])
POOL_SIZE_MAX = 10
DAY_MS = 24 * 3_600_000


class Taking:
    """A channel that takes every message."""

    async def deliver(self, message: Message) -> None:
        """Takes it."""


@dataclass
class World:
    """What a trial makes its rows in."""

    pool: asyncpg.Pool
    redis_url: str
    rows: Rows
    market: Market
    jobs: Jobs
    people: People
    webhooks: Webhooks
    receiver: Receiver
    courier: Courier


@dataclass(frozen=True)
class Row:
    """A row as its sweep names it; by `key` it is poisoned and looked up."""

    name: str
    key: str


@asynccontextmanager
async def opened_world(
    database_url: str, redis_url: str, engine: GroupEngine, *, round_size: int
) -> AsyncIterator[World]:
    """A worker's jobs on a database, for the life of the block."""
    settings = Settings(database_url=database_url)
    async with (
        open_pool(settings, size_max=POOL_SIZE_MAX, application_name="trial") as pool,
        receiving() as receiver,
    ):
        await pool.execute("UPDATE schema_migrations SET applied_at = applied_at - interval '2 hours'")
        jobs = Jobs(
            Stores(
                pool,
                engine,
                SandboxGateway(pool),
                lambda _: None,
                calls_in_flight_max=round_size,
                archive_after_ms=DAY_MS,
            )
        )
        courier = Courier(pool, KEYRING, {"email": Taking()}, keeps_readable=False)
        people = People(pool, ROTATED, courier, Nudger(pool, KEYRING, settings), Eraser(pool, engine))
        # A pass of a trial is one round.
        courier.on_ended = lambda: None
        parts: Any = SimpleNamespace(
            settings=settings,
            pool=pool,
            keyring=ROTATED,
            resolver=Names([HOST]),
            clock=SimpleNamespace(now_s=time.time),
        )
        hooks = Webhooks(cast("Resources", parts))
        jobs.second_tries.add(people.second_tries() | hooks.second_tries())
        yield World(
            pool,
            redis_url,
            await Rows.open(pool),
            Market(pool),
            jobs,
            people,
            hooks,
            receiver,
            courier,
        )
        await hooks.close()
        await people.close()
        await jobs.close()
