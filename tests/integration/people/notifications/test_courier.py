"""What is due is delivered, once where that is possible, and not for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from pintuan.base.keyring import Keyring
from pintuan.people.notifications.channels import DeliveryFailed
from pintuan.people.notifications.courier import ATTEMPTS_MAX, KEPT_MS, READABLE_MS, Courier
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue, read_outbox
from tests.mailbox import HOST, deliver_due, mail_server
from tests.waiting import until

pytestmark = pytest.mark.anyio

SECRET_KEY = "a key that seals messages in tests and nowhere else"
KEYRING = Keyring(SECRET_KEY)
ANN = "ann@example.com"


class Channel:
    """Notes what it was given; fails as often as it is told to, or never answers."""

    def __init__(self, *failures: DeliveryFailed) -> None:
        self.delivered: list[Message] = []
        self.failures = list(failures)
        self.hangs = False
        self.reached = asyncio.Event()

    async def deliver(self, message: Message) -> None:
        self.delivered.append(message)
        self.reached.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)


def courier(pool: asyncpg.Pool, channel: Channel, *, keeps_readable: bool = False) -> Courier:
    return Courier(pool, KEYRING, {"email": channel}, keeps_readable=keeps_readable)


async def write(pool: asyncpg.Pool, *, text: str = "Hello", lifetime_ms: int = 60_000) -> None:
    message = Message(channel="email", to=ANN, subject="Hello", text=text)
    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, KEYRING, message, kind="greeting", lifetime_ms=lifetime_ms)


async def state(pool: asyncpg.Pool) -> tuple[str, int, bool]:
    """How the only message stands: its state, its attempts, and whether it can be read."""
    (row,) = await pool.fetch("SELECT state, attempts, sealed IS NOT NULL AS readable FROM notifications")
    return row["state"], row["attempts"], row["readable"]


async def make_due(pool: asyncpg.Pool) -> None:
    """Lets pauses and leases be over."""
    await pool.execute("UPDATE notifications SET due_at = app_now() WHERE ended_at IS NULL")


async def test_a_message_is_delivered_once_and_wiped(pool: asyncpg.Pool) -> None:
    channel = Channel()
    await write(pool)

    await asyncio.gather(*(deliver_due(courier(pool, channel)) for _ in range(5)))

    assert [message.text for message in channel.delivered] == ["Hello"]
    assert await state(pool) == ("sent", 1, False)
    assert await deliver_due(courier(pool, channel)) == 0


async def test_what_a_message_says_and_to_whom_is_not_in_the_database(pool: asyncpg.Pool) -> None:
    await write(pool, text="493027")
    row = await pool.fetchval("SELECT n::text FROM notifications n")
    sealed = await pool.fetchval("SELECT sealed FROM notifications")
    assert not any(word in row or word.encode() in sealed for word in ("493027", "ann", "example.com"))


async def test_a_failure_is_tried_again_later_and_not_at_once(pool: asyncpg.Pool) -> None:
    channel = Channel(DeliveryFailed("busy"), DeliveryFailed("busy"))
    await write(pool)
    for attempts in (1, 2):
        await deliver_due(courier(pool, channel))
        assert await state(pool) == ("due", attempts, True)
        assert await deliver_due(courier(pool, channel)) == 0
        await make_due(pool)
    await deliver_due(courier(pool, channel))
    assert await state(pool) == ("sent", 3, False)


async def test_pauses_grow_and_attempts_end(pool: asyncpg.Pool) -> None:
    channel = Channel(*(DeliveryFailed("busy") for _ in range(ATTEMPTS_MAX + 5)))
    await write(pool, lifetime_ms=3_600_000)
    pauses = []
    for _ in range(ATTEMPTS_MAX + 5):
        await deliver_due(courier(pool, channel))
        pauses += await pool.fetch(
            "SELECT extract(epoch FROM due_at - app_now()) AS s FROM notifications WHERE ended_at IS NULL"
        )
        await make_due(pool)
    assert len(channel.delivered) == ATTEMPTS_MAX
    assert await state(pool) == ("failed", ATTEMPTS_MAX, False)
    assert 1 < pauses[0]["s"] < 3
    assert 20 < pauses[-1]["s"] < 60


async def test_what_is_refused_for_good_is_not_tried_again(pool: asyncpg.Pool) -> None:
    channel = Channel(DeliveryFailed("no such user", permanent=True))
    await write(pool)
    await deliver_due(courier(pool, channel))
    assert await state(pool) == ("failed", 1, False)
    assert await pool.fetchval("SELECT failure FROM notifications") == "no such user"


async def test_what_came_too_late_is_not_sent(pool: asyncpg.Pool) -> None:
    channel = Channel()
    await write(pool)
    await pool.execute("UPDATE notifications SET expires_at = app_now()")
    await deliver_due(courier(pool, channel))
    assert (channel.delivered, await state(pool)) == ([], ("expired", 1, False))


async def test_a_newer_message_does_not_take_the_place_of_one_that_waits(pool: asyncpg.Pool) -> None:
    channel = Channel()
    await write(pool, text="old")
    await write(pool, text="new")
    await deliver_due(courier(pool, channel))
    assert {message.text for message in channel.delivered} == {"old", "new"}


async def test_a_message_on_its_way_is_nobody_elses_until_its_sender_must_be_dead(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.people.notifications.courier.CLOSE_WAIT_S", 0)
    dying, channel = Channel(), Channel()
    dying.hangs = True
    await write(pool)
    victim = courier(pool, dying)
    await victim.start_due()
    await dying.reached.wait()
    assert await deliver_due(courier(pool, channel)) == 0
    await victim.close()

    assert await deliver_due(courier(pool, channel)) == 0
    await make_due(pool)
    assert await deliver_due(courier(pool, channel)) == 1
    assert len(channel.delivered) == 1
    assert await state(pool) == ("sent", 2, False)


async def test_workers_that_always_die_do_not_repeat_a_message_for_ever(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.people.notifications.courier.CLOSE_WAIT_S", 0)
    channel = Channel()
    channel.hangs = True
    await write(pool)
    for _ in range(ATTEMPTS_MAX + 3):
        channel.reached.clear()
        victim = courier(pool, channel)
        await victim.start_due()
        finished = asyncio.create_task(victim.finish())
        reached = asyncio.create_task(channel.reached.wait())
        await asyncio.wait({finished, reached}, return_when=asyncio.FIRST_COMPLETED)
        await victim.close()
        await finished
        reached.cancel()
        await make_due(pool)
    assert len(channel.delivered) == ATTEMPTS_MAX
    assert (await state(pool))[0] == "failed"


async def test_a_late_record_of_a_lost_attempt_changes_nothing(pool: asyncpg.Pool) -> None:
    slow, channel = Channel(DeliveryFailed("too slow", permanent=True)), Channel()
    await write(pool)
    release = asyncio.Event()

    class Slow(Channel):
        async def deliver(self, message: Message) -> None:
            self.reached.set()
            await release.wait()
            await slow.deliver(message)

    late = Slow()
    task = asyncio.create_task(deliver_due(courier(pool, late)))
    await late.reached.wait()
    await make_due(pool)
    await deliver_due(courier(pool, channel))
    release.set()
    await task
    assert (await state(pool))[0] == "sent"


async def test_a_key_that_is_accepted_no_more_ends_a_message(pool: asyncpg.Pool) -> None:
    channel = Channel()
    await write(pool)
    rotated = Keyring("another key that seals messages from now on", [SECRET_KEY])
    other = Keyring("a key that never knew of the messages before")
    assert len(await read_outbox(pool, rotated, ANN)) == 1
    assert await read_outbox(pool, other, None) == []
    await deliver_due(Courier(pool, other, {"email": channel}, keeps_readable=False))
    assert (channel.delivered, await state(pool)) == ([], ("failed", 1, False))


async def test_a_developer_can_read_for_an_hour_what_was_sent(pool: asyncpg.Pool) -> None:
    kept = courier(pool, Channel(), keeps_readable=True)
    await write(pool)
    await deliver_due(kept)
    assert await kept.tidy(10) == 0
    assert [item.text for item in await read_outbox(pool, KEYRING, None)] == ["Hello"]

    await _age(pool, READABLE_MS)
    assert await kept.tidy(10) == 1
    assert await read_outbox(pool, KEYRING, None) == []
    await _age(pool, KEPT_MS)
    assert await kept.tidy(10) == 1
    assert await pool.fetchval("SELECT count(*) FROM notifications") == 0


@pytest.mark.slow
async def test_a_worker_killed_between_sending_and_recording_loses_nothing(
    pool: asyncpg.Pool, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    await write(pool)
    async with mail_server() as server:
        environ = {
            **os.environ,
            "PINTUAN_DATABASE_URL": database_url,
            "PINTUAN_REDIS_URL": redis_url,
            "PINTUAN_DATA_DIR": str(tmp_path),
            "PINTUAN_SECRET_KEY": SECRET_KEY,
            "PINTUAN_SMTP_URL": f"smtp://{HOST}:{server.port}",
            "PINTUAN_MAIL_FROM": "hello@shop.example",
        }
        server.hung = True
        victim = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)
        await asyncio.wait_for(server.taken.wait(), 30)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        server.hung = False
        assert await state(pool) == ("in_flight", 1, True)

        await make_due(pool)
        successor = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)

        async def is_sent() -> bool:
            return (await state(pool))[0] == "sent"

        await until(is_sent)
        successor.terminate()
        await successor.wait()
    assert len(server.mails) == 2


async def _age(pool: asyncpg.Pool, milliseconds: int) -> None:
    await pool.execute(
        "UPDATE notifications SET ended_at = ended_at - $1 * interval '1 millisecond'", milliseconds + 1
    )
