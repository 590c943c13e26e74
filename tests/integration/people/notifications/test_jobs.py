"""The job of notifications delivers all there are, and no more at once than it has places for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.keyring import Keyring
from pintuan.people.notifications.courier import PER_SENDER_MAX, Courier
from pintuan.people.notifications.jobs import Jobs
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue
from tests.waiting import until

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
async def jobs(pool: asyncpg.Pool, channel: Everything) -> AsyncIterator[ProcessJobs]:
    courier = Courier(pool, KEYRING, {"email": channel}, keeps_readable=False)
    jobs = ProcessJobs()
    jobs.add(Jobs(courier, jobs))
    yield jobs
    await jobs.close()
    await courier.close()


async def test_more_messages_than_there_are_places_are_all_delivered(
    pool: asyncpg.Pool, jobs: ProcessJobs, channel: Everything
) -> None:
    texts = [f"message {number}" for number in range(2 * PER_SENDER_MAX + 1)]
    async with pool.acquire() as connection, connection.transaction():
        for text in texts:
            message = Message(channel="email", to="ann@example.com", subject="Hello", text=text)
            await enqueue(connection, KEYRING, message, kind="greeting", lifetime_ms=60_000)

    await jobs.run("notifications")

    async def all_are_sent() -> bool:
        return bool(await pool.fetchval("SELECT bool_and(state = 'sent') FROM notifications"))

    await until(all_are_sent)
    assert sorted(channel.texts) == sorted(texts)
    assert channel.count <= PER_SENDER_MAX
