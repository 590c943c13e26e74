"""What tests of webhooks start from.

Fixtures:

    rows        factories for rows of one deal of the merchant `acme`
    hooks       endpoints of merchants, and couriers that deliver to them
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from pintuan.base.events.hearing import Hearer
from pintuan.base.events.jobs import EVENTS_PER_ROUND
from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.sending import Sender
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.selling.webhooks import service
from pintuan.selling.webhooks.courier import WebhookCourier
from pintuan.selling.webhooks.reactions import REACTIONS
from pintuan.selling.webhooks.schemas import (
    EventType,
    MadeWebhookEndpoint,
    NewWebhookEndpoint,
    WebhookDelivery,
)
from tests.receiver import HOST, Names
from tests.rows import Rows

ACME = "acme"
POOL_SIZE_MAX = 10
KEYRING = Keyring("a key that seals secrets in tests and nowhere else")


@dataclass
class Hooks:
    """Endpoints on one database; `courier` is what a worker process has one of."""

    pool: asyncpg.Pool
    couriers: list[WebhookCourier] = field(default_factory=list)

    def courier(self, keyring: Keyring = KEYRING) -> WebhookCourier:
        """Another process'."""
        courier = WebhookCourier(
            self.pool,
            keyring,
            Sender(Names([HOST]), allows_loopback=True),
            share_base="http://shop.example/g/",
            now_s=time.time,
        )
        self.couriers.append(courier)
        return courier

    async def endpoint(
        self, url: str, *, merchant: str = ACME, events: list[EventType] | None = None
    ) -> MadeWebhookEndpoint:
        wanted = NewWebhookEndpoint(url=url, events=events)
        return await service.create_endpoint(self.pool, KEYRING, merchant, wanted)

    async def deliver(self, courier: WebhookCourier | None = None) -> None:
        """Hears what is new and delivers what is due, until nothing is."""
        courier = courier or self.courier()
        await self.hear()
        while await courier.start_due():
            await courier.finish()

    async def hear(self) -> int:
        """Lets webhooks hear of what happened; returns how many events there were."""
        return await Hearer(self.pool, "webhooks", REACTIONS).hear(EVENTS_PER_ROUND)

    async def make_due(self) -> None:
        """Lets pauses and leases be over."""
        await self.pool.execute("UPDATE webhook_deliveries SET due_at = app_now() WHERE ended_at IS NULL")

    async def log(self, endpoint: MadeWebhookEndpoint, *, merchant: str = ACME) -> list[WebhookDelivery]:
        """The endpoint's log, the oldest first."""
        log = await service.list_deliveries(self.pool, merchant, endpoint.id, after=None, limit=1000)
        return log[::-1]

    async def events(self) -> list[tuple[str, str]]:
        """What webhooks keep of all that happened: types and what they are about."""
        await self.hear()
        rows = await self.pool.fetch("SELECT type, object_id FROM webhook_events ORDER BY created_at, type")
        return [(row["type"], row["object_id"]) for row in rows]

    async def status(self, endpoint: MadeWebhookEndpoint) -> str:
        return (await service.get_endpoint(self.pool, ACME, endpoint.id)).status

    async def value(self, statement: str, *arguments: Any) -> Any:
        return await self.pool.fetchval(statement, *arguments)


@pytest.fixture
async def rows(pool: asyncpg.Pool) -> Rows:
    return await Rows.open(pool)


@pytest.fixture
async def hooks(database_url: str) -> AsyncIterator[Hooks]:
    settings = Settings(database_url=database_url)
    async with open_pool(settings, size_max=POOL_SIZE_MAX, application_name="tests") as pool:
        hooks = Hooks(pool)
        yield hooks
        await asyncio.gather(*(courier.close() for courier in hooks.couriers))
