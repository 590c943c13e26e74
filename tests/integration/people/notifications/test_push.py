"""An app's push service gets each message signed, under one id however often, and says whom it knows."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import pytest

from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.sending import Sender
from pintuan.base.outgoing.signing import new_secret
from pintuan.people.contacts.channels import Channel
from pintuan.people.notifications import channels, store
from pintuan.people.notifications.channels import DeliveryFailed, Notifier, PushNotifier, UnknownRecipient
from pintuan.people.notifications.courier import Courier
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue, replace
from tests.mailbox import deliver_due
from tests.receiver import HOST, Names, never, receiving

pytestmark = pytest.mark.anyio

KEYRING = Keyring("a key that seals messages in tests and nowhere else")
SECRET = new_secret()
MAIL = Message(channel="email", to="ann@example.com", subject="One hour left", text="Soon.\nhttps://u")
PUSH = Message(
    channel="push",
    to="usr_ann",
    subject="One hour left",
    text="Soon.",
    url="https://shop.example/g/abc?lang=fr",
    unsubscribe_url="https://shop.example/v1/unsubscribe/x",
    instead=MAIL,
)


class Everything:
    """Takes every message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def deliver(self, message: Message) -> None:
        self.messages.append(message)


def pusher(url: str, *, allows_loopback: bool = True) -> PushNotifier:
    sender = Sender(Names([HOST]), allows_loopback=allows_loopback)
    return PushNotifier(url, SECRET, sender, now_s=time.time)


async def write(pool: asyncpg.Pool, message: Message = PUSH) -> str:
    async with pool.acquire() as connection, connection.transaction():
        return await enqueue(connection, KEYRING, message, kind="nudge", lifetime_ms=60_000)


async def states(pool: asyncpg.Pool) -> list[tuple[str, str, str | None]]:
    rows = await pool.fetch(
        "SELECT channel, state, failure FROM notifications ORDER BY created_at, channel DESC"
    )
    return [tuple(row) for row in rows]


def courier(pool: asyncpg.Pool, url: str, mail: Everything | None = None) -> Courier:
    notifiers: dict[Channel, Notifier] = {"push": pusher(url)}
    if mail is not None:
        notifiers["email"] = mail
    return Courier(pool, KEYRING, notifiers, keeps_readable=False)


async def test_a_push_is_signed_and_says_all_that_an_app_needs(pool: asyncpg.Pool) -> None:
    async with receiving() as receiver:
        notification_id = await write(pool)
        assert await deliver_due(courier(pool, receiver.url)) == 1

    (received,) = receiver.received
    assert received.id == notification_id
    message: dict[str, Any] = received.verified(SECRET)
    assert message.pop("timestamp").endswith("Z")
    assert message == {
        "type": "message.nudge",
        "data": {
            "user": "usr_ann",
            "title": "One hour left",
            "text": "Soon.",
            "url": "https://shop.example/g/abc?lang=fr",
            "unsubscribe_url": "https://shop.example/v1/unsubscribe/x",
        },
    }
    assert await states(pool) == [("push", "sent", None)]


async def test_a_push_is_repeated_under_its_id_until_it_is_taken(pool: asyncpg.Pool) -> None:
    async with receiving() as receiver:
        await write(pool)
        for status, state in ((503, "due"), (429, "due"), (401, "due"), (204, "sent")):
            receiver.status = status
            await pool.execute("UPDATE notifications SET due_at = app_now()")
            await deliver_due(courier(pool, receiver.url))
            assert [one[1] for one in await states(pool)] == [state]
    assert len(receiver.received) == 4
    assert len({received.id for received in receiver.received}) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_whom_the_app_does_not_reach_gets_the_mail_and_once(pool: asyncpg.Pool, status: int) -> None:
    mail = Everything()
    async with receiving(status=status) as receiver:
        await write(pool)
        await deliver_due(courier(pool, receiver.url, mail))
        assert mail.messages == []
        for _ in range(3):
            await deliver_due(courier(pool, receiver.url, mail))

    assert [(one.to, one.text) for one in mail.messages] == [("ann@example.com", "Soon.\nhttps://u")]
    assert await states(pool) == [("push", "failed", f"HTTP {status}"), ("email", "sent", None)]
    expiries = await pool.fetchval("SELECT count(DISTINCT expires_at) FROM notifications")
    assert expiries == 1


async def test_who_answers_after_the_lease_is_over_sends_no_mail_beside_the_next_attempt(
    pool: asyncpg.Pool,
) -> None:
    await write(pool)
    room = [store.Room("push", awaited=0, unasked=1)]
    (late,) = await store.take_due(pool, room, {}, awaited_under_way={}, per_sender=1, lease_ms=0)
    (current,) = await store.take_due(pool, room, {}, awaited_under_way={}, per_sender=1, lease_ms=60_000)
    for taken in (late, current, current):
        await replace(pool, KEYRING, taken, MAIL, "HTTP 404", keep=False)
        wanted = [] if taken is late else [("email", "due", None)]
        assert [one for one in await states(pool) if one[0] == "email"] == wanted


async def test_nothing_is_sent_in_place_of_a_push_without_another_way(pool: asyncpg.Pool) -> None:
    async with receiving(status=404) as receiver:
        await write(pool, Message(channel="push", to="usr_ann", subject="Hello", text="Hello"))
        await deliver_due(courier(pool, receiver.url, Everything()))
    assert await states(pool) == [("push", "failed", "HTTP 404")]


async def test_a_push_that_was_refused_for_good_is_not_repeated() -> None:
    async with receiving(status=400) as receiver:
        with pytest.raises(DeliveryFailed) as failed:
            await pusher(receiver.url).deliver(PUSH)
    assert failed.value.permanent
    assert not isinstance(failed.value, UnknownRecipient)


async def test_a_push_service_that_does_not_answer_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "DELIVERY_TIMEOUT_S", 0.05)
    async with receiving(answering=never) as receiver:
        with pytest.raises(DeliveryFailed) as failed:
            await pusher(receiver.url).deliver(PUSH)
    assert not failed.value.permanent


async def test_no_push_reaches_an_address_that_is_not_public() -> None:
    async with receiving() as receiver:
        with pytest.raises(DeliveryFailed) as failed:
            await pusher(f"https://push.invalid:{receiver.port}/", allows_loopback=False).deliver(PUSH)
    assert "not public" in failed.value.reason
    assert receiver.connections == 0
