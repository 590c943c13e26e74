"""The jobs about people do all there is to do, and end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from groups.engine import GroupEngine
from pintuan.base.keyring import Keyring
from pintuan.base.settings.settings import Settings
from pintuan.people.notifications.courier import PER_SENDER_MAX, Courier
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue
from pintuan.people.personal.erasures import ORDERS_PER_STEP, Eraser, insert_erasure
from pintuan.reach.nudges.service import Nudger
from tests.rows import Rows
from tests.waiting import until
from workers.people import People

pytestmark = pytest.mark.anyio

KEYRING = Keyring("a key that seals messages in tests and nowhere else")


class Everything:
    """Takes every message; `count` says how many are on their way at once at most."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.now = 0
        self.count = 0

    async def deliver(self, message: Message) -> None:
        self.now += 1
        self.count = max(self.count, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        self.texts.append(message.text)


@pytest.fixture
def channel() -> Everything:
    return Everything()


@pytest.fixture
async def people(pool: asyncpg.Pool, engine: GroupEngine, channel: Everything) -> AsyncIterator[People]:
    courier = Courier(pool, KEYRING, {"email": channel}, keeps_readable=False)
    nudger = Nudger(pool, KEYRING, Settings())
    people = People(pool, KEYRING, courier, nudger, Eraser(pool, engine))
    yield people
    await people.close()


async def test_more_messages_than_there_are_places_are_all_delivered(
    pool: asyncpg.Pool, people: People, channel: Everything
) -> None:
    texts = [f"message {number}" for number in range(2 * PER_SENDER_MAX + 1)]
    async with pool.acquire() as connection, connection.transaction():
        for text in texts:
            message = Message(channel="email", to="ann@example.com", subject="Hello", text=text)
            await enqueue(connection, KEYRING, message, kind="greeting", lifetime_ms=60_000)

    await people.notifications.run()

    async def all_are_sent() -> bool:
        return bool(await pool.fetchval("SELECT bool_and(state = 'sent') FROM notifications"))

    await until(all_are_sent)
    assert sorted(channel.texts) == sorted(texts)
    assert channel.count <= PER_SENDER_MAX


async def test_more_orders_than_fit_a_step_are_all_scrubbed(pool: asyncpg.Pool, people: People) -> None:
    rows = await Rows.open(pool)
    await pool.execute(
        "INSERT INTO orders (id, deal_id, lane_no, buyer_id, quantity, status, currency, promised_unit_minor,"
        " payment_method, request_id, hold_until, created_at, updated_at)"
        " SELECT 'ord_' || n, $1, 0, 'ann', 1, 'expired', 'USD', 900, 'pm_ok', '', app_now(), app_now(),"
        " app_now() FROM generate_series(1, $2) AS n",
        rows.deal_id,
        2 * ORDERS_PER_STEP + 1,
    )
    async with pool.acquire() as connection, connection.transaction():
        await insert_erasure(connection, "ann")

    await people.erasures.run()

    async def all_are_scrubbed() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM orders WHERE buyer_id = 'ann'")

    await until(all_are_scrubbed)


async def test_what_is_old_is_forgotten(pool: asyncpg.Pool, people: People) -> None:
    await pool.execute(
        "INSERT INTO limit_windows"
        " SELECT 'test', sha256(n::text::bytea), '{}', app_now() - interval '1 second'"
        " FROM generate_series(1, 2500) AS n"
    )
    await people.tidying.run()
    assert await pool.fetchval("SELECT count(*) FROM limit_windows") == 0
