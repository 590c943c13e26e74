"""A worker's jobs on a database of their own, for trials of rows that always fail."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg

from groups.engine import GroupEngine
from pintuan import nouns
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.sending import Sender
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.buying.archive import jobs as archive
from pintuan.buying.archive.service import Archivist
from pintuan.money.gateway_events import jobs as gateway_events
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.people.activity import jobs as activity
from pintuan.people.consents import jobs as consents
from pintuan.people.identity import jobs as identity
from pintuan.people.notifications import jobs as notifications
from pintuan.people.notifications.courier import Courier
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.post import post_of
from pintuan.people.personal import jobs as personal
from pintuan.reach.invites import jobs as invites
from pintuan.reach.nudges import jobs as nudge_jobs
from pintuan.reach.nudges.service import Nudger
from pintuan.selling.webhooks import jobs as webhooks
from pintuan.selling.webhooks.courier import WebhookCourier
from pintuan.shop.offers import jobs as offers
from tests.erasing import Eraser
from tests.market import Market
from tests.receiver import HOST, Names, Receiver, receiving
from tests.rows import Rows
from tests.working import market_jobs

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
    jobs: ProcessJobs
    receiver: Receiver
    courier: Courier
    webhook_courier: WebhookCourier


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
        courier = Courier(pool, KEYRING, {"email": Taking()}, keeps_readable=False)
        hooks = WebhookCourier(
            pool,
            ROTATED,
            Sender(Names([HOST]), allows_loopback=settings.env == "dev"),
            share_base=settings.share_base,
            now_s=time.time,
        )
        nudger = Nudger(pool, post_of(settings, KEYRING), share_base=settings.share_base)
        # What follows from a reaction is a trial of its own.
        listeners = {noun: replace(reactions, then=None) for noun, reactions in nouns.reactions().items()}
        jobs = market_jobs(
            pool, engine, SandboxGateway(pool), listeners=listeners, calls_in_flight_max=round_size
        )
        for noun in (
            archive.Jobs(Archivist(pool, age_ms=DAY_MS)),
            gateway_events.Jobs(pool),
            notifications.Jobs(courier, jobs),
            consents.Jobs(pool, ROTATED),
            identity.Jobs(pool),
            activity.Jobs(pool),
            offers.Jobs(pool),
            personal.Jobs(Eraser(pool, engine), jobs),
            invites.Jobs(pool, jobs),
            nudge_jobs.Jobs(nudger, jobs),
            webhooks.Jobs(hooks),
        ):
            jobs.add(noun)
        # A pass of a trial is one round.
        courier.on_ended = lambda: None
        yield World(pool, redis_url, await Rows.open(pool), Market(pool), jobs, receiver, courier, hooks)
        await jobs.close()
        await courier.close()
        await hooks.close()
