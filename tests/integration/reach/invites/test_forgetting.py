"""Whom an invitation went to is forgotten in time; who wants none is not, whatever becomes of the keys."""

from __future__ import annotations

import asyncpg
import pytest

from pintuan.base.errors import NotFound
from pintuan.base.keyring import Keyring
from pintuan.people.consents.service import PATH, reseal, stop_of_token, stop_url_of, unsubscribed
from pintuan.people.contacts.contacts import Contact
from pintuan.people.contacts.sealed import seal_contact
from pintuan.people.notifications.unsubscribing import unsubscribe
from pintuan.reach.invites import store
from pintuan.reach.invites.limits import RECIPIENT_KEPT_MS
from tests.rows import Rows

pytestmark = pytest.mark.anyio

OLD, NEW = "the secret of last year, long enough", "the secret of this year, long enough"
KEYRING = Keyring(OLD)
BEA = Contact("email", "bea@example.com")


def token_of(keyring: Keyring) -> str:
    return stop_url_of(keyring, "https://shop.example/g/", BEA, "invite").partition(PATH)[2]


async def is_unwilling(pool: asyncpg.Pool, keyring: Keyring) -> bool:
    async with pool.acquire() as connection:
        return bool(await unsubscribed(connection, BEA.digests(keyring), "invite"))


async def test_a_recipient_is_forgotten_some_days_after_the_deadline(pool: asyncpg.Pool) -> None:
    group = await (await Rows.open(pool)).group()
    async with pool.acquire() as connection:
        await store.insert_invite(
            connection,
            code="k3Jm9wQ2xY7pLr4T",
            group_id=group,
            inviter_id="ann",
            channel="email",
            recipient_digest=BEA.digests(KEYRING)[0],
            sealed=seal_contact(KEYRING, BEA),
            delay_ms=0,
            kept_ms=RECIPIENT_KEPT_MS,
            notification_id=None,
            awaits_order_id=None,
        )
    assert await store.forget_recipients(pool, 10) == 0
    await pool.execute("UPDATE invites SET forget_at = forget_at - interval '8 days'")
    assert await store.forget_recipients(pool, 10) == 1

    (invite,) = await store.list_invites(pool, group, "ann", limit=10)
    assert (invite.code, invite.sealed) == ("k3Jm9wQ2xY7pLr4T", None)
    assert "bea" not in str(await pool.fetchval("SELECT i::text FROM invites i"))


async def test_nobody_says_it_twice_though_the_secret_changes(pool: asyncpg.Pool) -> None:
    await unsubscribe(pool, KEYRING, token_of(KEYRING))
    rotated = Keyring(NEW, [OLD])
    assert await is_unwilling(pool, rotated)
    assert await reseal(pool, rotated, 10) == 1
    assert await reseal(pool, rotated, 10) == 0

    assert await is_unwilling(pool, Keyring(NEW))
    # A link in an old mail works for as long as its key is accepted.
    stop = stop_of_token(rotated, token_of(KEYRING))
    assert (stop.contact, stop.topic) == (BEA, "invite")
    with pytest.raises(NotFound):
        stop_of_token(Keyring(NEW), token_of(KEYRING))


async def test_a_sealed_address_is_no_token(pool: asyncpg.Pool) -> None:
    with pytest.raises(NotFound):
        await unsubscribe(pool, KEYRING, seal_contact(KEYRING, BEA).decode())
    assert not await is_unwilling(pool, KEYRING)
