"""Members are told what is due, once each: who can be reached, wants it, and is awake."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest

from groups.engine import GroupEngine
from pintuan.base.events.hearing import Hearer
from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.signing import new_secret
from pintuan.base.settings.settings import Settings
from pintuan.people.consents.service import PATH, stop_url_of
from pintuan.people.consents.stoppable import Stoppable
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.post import post_of
from pintuan.people.notifications.service import unseal
from pintuan.people.notifications.unsubscribing import unsubscribe
from pintuan.reach.nudges import service
from pintuan.reach.nudges.reactions import REACTIONS
from pintuan.reach.nudges.service import Nudger
from tests.market import Market

pytestmark = pytest.mark.anyio

KEYRING = Keyring("a key that seals messages in tests and nowhere else")
SETTINGS = Settings(public_url="https://shop.example")
DAY_S = 24 * 3600


def nudger_of(pool: asyncpg.Pool, settings: Settings = SETTINGS) -> Nudger:
    return Nudger(pool, post_of(settings, KEYRING), share_base=settings.share_base)


@pytest.fixture
def nudger(pool: asyncpg.Pool) -> Nudger:
    return nudger_of(pool)


async def account(
    pool: asyncpg.Pool, name: str, kind: str = "email", address: str = "", language: str | None = None
) -> None:
    """Somebody who can be reached."""
    await pool.execute("INSERT INTO accounts (id, language) VALUES ($1, $2)", name, language)
    await pool.execute(
        "INSERT INTO contacts (kind, address, account_id) VALUES ($1, $2, $3)",
        kind,
        address or f"{name}@example.com",
        name,
    )


async def joined(
    engine: GroupEngine, market: Market, *names: str, ttl_s: float = DAY_S, min_headcount: int = 3
) -> str:
    """A group of these, authorised; returns it."""
    deal = await market.deal(ttl_s=ttl_s, min_headcount=min_headcount)
    for name in names:
        placed = await engine.place(market.wish(name, deal=deal))
        await market.authorise(placed.order_id)
    await hear(market.pool)
    return await market.group_of(placed.order_id)


async def hear(pool: asyncpg.Pool) -> None:
    """Lets nudges hear of what happened to groups."""
    await Hearer(pool, "nudges", REACTIONS).hear(1000)


async def messages(pool: asyncpg.Pool) -> dict[str, Message]:
    """What was written, by whom it goes to; nobody has two."""
    rows = await pool.fetch("SELECT sealed FROM notifications WHERE kind = 'nudge' ORDER BY created_at")
    found = [message for row in rows if (message := unseal(KEYRING, row["sealed"])) is not None]
    by_address = {message.to: message for message in found}
    assert len(by_address) == len(found)
    return by_address


async def make_due(pool: asyncpg.Pool, kind: str) -> None:
    """Lets the moment of a nudge come; the one of the last hour comes with the last hour."""
    if kind == "hour_left":
        await pool.execute("UPDATE groups SET deadline = app_now() + interval '1 hour'")
    await pool.execute("UPDATE nudges SET due_at = app_now() WHERE kind = $1", kind)


async def ended(engine: GroupEngine, market: Market, group: str) -> str:
    """Settles a group, with a gateway that does all it is asked; returns how it ended."""
    await market.pass_deadline(group)
    await engine.advance_due_groups(10)
    await market.end_operations("capture")
    await market.pool.execute(
        "UPDATE orders SET status = 'released' WHERE status = 'authorised' AND id IN"
        " (SELECT order_id FROM payment_operations WHERE kind = 'void')"
    )
    await market.end_operations("void")
    await market.pass_settling()
    await engine.advance_due_groups(10)
    await hear(market.pool)
    status: str = (await market.group(group))["status"]
    return status


@pytest.mark.parametrize("kind", ["hour_left", "succeeded", "failed"])
async def test_a_member_hears_of_what_they_ordered_whatever_it_is_called_now(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger, kind: str
) -> None:
    await account(pool, "ann")
    group = await joined(engine, market, "ann", "bob", min_headcount=3 if kind == "failed" else 2)
    await pool.execute("UPDATE deals SET title = 'Coffee'")
    if kind != "hour_left":
        assert await ended(engine, market, group) == kind

    await make_due(pool, kind)
    assert await nudger.tell_due(10)

    (told,) = (await messages(pool)).values()
    assert "Tea" in told.subject
    assert "Coffee" not in told.subject + told.text


async def test_members_hear_that_a_price_is_near_once_and_in_their_language(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann", language="uk")
    await account(pool, "bea")
    group = await joined(engine, market, "ann", "bea", "cem")
    assert await nudger.tell_due(10) == 0

    await make_due(pool, "tier_near")
    assert await nudger.tell_due(10) == 1

    told = await messages(pool)
    assert set(told) == {"ann@example.com", "bea@example.com"}
    assert told["bea@example.com"].subject == "2 more, and everyone pays $8.00."
    assert "Ще 2 людини" in told["ann@example.com"].subject
    share_code = (await market.group(group))["share_code"]
    assert f"https://shop.example/g/{share_code}?lang=uk" in told["ann@example.com"].text
    merchants = await pool.fetch("SELECT merchant_id FROM deals")
    senders = await pool.fetch("SELECT DISTINCT sender, awaited FROM notifications")
    assert [tuple(row) for row in senders] == [(merchants[0]["merchant_id"], False)]
    await make_due(pool, "tier_near")
    assert await nudger.tell_due(10) == 0


async def test_a_price_that_is_not_near_is_looked_at_again(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann")
    await joined(engine, market, "ann", min_headcount=5)
    await make_due(pool, "tier_near")

    assert await nudger.tell_due(10) == 1

    assert await messages(pool) == {}
    later = await pool.fetchval("SELECT due_at > app_now() FROM nudges WHERE kind = 'tier_near'")
    assert later is True


async def test_the_last_hour_is_told_with_what_is_near_and_not_twice(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann")
    await joined(engine, market, "ann")
    await make_due(pool, "hour_left")

    await nudger.tell_due(10)

    (message,) = (await messages(pool)).values()
    assert message.subject == "One hour left: “Tea”"
    assert "2 more, and everyone pays $9.00." in message.text
    assert await pool.fetchval("SELECT count(*) FROM nudges") == 0


async def test_short_groups_are_told_of_their_end_alone(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    await joined(engine, market, "ann", ttl_s=7199)
    assert await pool.fetchval("SELECT count(*) FROM nudges") == 0
    await joined(engine, market, "ann", ttl_s=7200)
    assert await pool.fetchval("SELECT count(*) FROM nudges") == 2


async def test_those_who_paid_hear_the_final_price_and_what_they_pay(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    for name in ("ann", "bea", "cem", "dan"):
        await account(pool, name)
    group = await joined(engine, market, "ann", "bea", "cem")
    held = await engine.place(market.wish("dan", group=group))
    await market.end("declined", held.order_id)
    assert await ended(engine, market, group) == "succeeded"

    assert await nudger.tell_due(10) == 1

    told = await messages(pool)
    assert set(told) == {"ann@example.com", "bea@example.com", "cem@example.com"}
    assert told["ann@example.com"].subject == "It worked: “Tea” for $9.00"
    assert "you pay $9.00 in all" in told["ann@example.com"].text
    # What was to be told of the open group is told no more.
    await pool.execute("UPDATE nudges SET due_at = app_now()")
    await nudger.tell_due(10)
    assert (await messages(pool), await pool.fetchval("SELECT count(*) FROM nudges")) == (told, 0)


async def test_those_whose_group_failed_hear_that_they_were_not_charged(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann", "phone", "+33612345678", "fr")
    await account(pool, "cem")
    group = await joined(engine, market, "ann", "bea")
    declined = await engine.place(market.wish("cem", group=group))
    await market.end("declined", declined.order_id)
    assert await ended(engine, market, group) == "failed"

    await nudger.tell_due(10)

    (message,) = (await messages(pool)).values()
    assert (message.channel, message.to) == ("sms", "+33612345678")
    assert "Vous n’avez pas été débité" in message.text


async def test_a_merchant_switches_nudges_off_for_a_deal(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann")
    group = await joined(engine, market, "ann", "bea", "cem")
    await pool.execute("UPDATE deals SET nudges = false")
    await make_due(pool, "tier_near")
    await nudger.tell_due(10)
    await ended(engine, market, group)
    await nudger.tell_due(10)

    assert await messages(pool) == {}


async def test_who_wants_none_gets_none_and_invitations_all_the_same(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, nudger: Nudger
) -> None:
    await account(pool, "ann")
    await account(pool, "bea")
    topics: dict[str, Stoppable] = {"ann": "nudge", "bea": "invite"}
    for name, topic in topics.items():
        url = stop_url_of(KEYRING, SETTINGS.share_base, Contact("email", f"{name}@example.com"), topic)
        assert await unsubscribe(pool, KEYRING, url.partition(PATH)[2]) == topic
    await joined(engine, market, "ann", "bea", "cem")
    await make_due(pool, "tier_near")

    await nudger.tell_due(10)

    told = await messages(pool)
    assert set(told) == {"bea@example.com"}
    stop = told["bea@example.com"].unsubscribe_url
    assert stop is not None
    assert await unsubscribe(pool, KEYRING, stop.partition(PATH)[2]) == "nudge"
    state = await pool.fetchval("SELECT state FROM notifications WHERE kind = 'nudge'")
    assert state == "expired"


async def test_who_sleeps_hears_in_the_morning_how_it_ended_and_not_what_was_true_at_night(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    hour = datetime.now(ZoneInfo("Asia/Seoul")).hour
    quiet = msgspec.structs.replace(SETTINGS, quiet_hours=f"{hour}-{(hour + 2) % 24}")
    nudger = nudger_of(pool, quiet)
    await account(pool, "ann", language="ko")
    group = await joined(engine, market, "ann", "bea", "cem")
    await make_due(pool, "tier_near")
    await nudger.tell_due(10)
    assert await messages(pool) == {}

    await ended(engine, market, group)
    await nudger.tell_due(10)

    row = await pool.fetchrow(
        "SELECT due_at - created_at > interval '50 minutes' AS late, expires_at > due_at AS lasts"
        " FROM notifications"
    )
    assert row is not None
    assert dict(row) == {"late": True, "lasts": True}


async def test_a_large_group_is_told_in_rounds_and_each_member_once(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MEMBERS_PER_ROUND", 2)
    names = [f"m{number}" for number in range(5)]
    for name in names:
        await account(pool, name)
    group = await joined(engine, market, *names)
    assert await ended(engine, market, group) == "succeeded"

    processes = [nudger_of(pool) for _ in range(3)]
    rounds = 0
    while some := sum(await asyncio.gather(*(process.tell_due(10) for process in processes))):
        rounds += some

    assert rounds == 3
    assert set(await messages(pool)) == {f"{name}@example.com" for name in names}


async def test_with_an_app_members_are_pushed_and_their_mail_is_kept_for_whom_it_does_not_reach(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    app = msgspec.structs.replace(
        SETTINGS, push_webhook_url="https://push.example", push_webhook_secret=new_secret()
    )
    await account(pool, "ann", language="es")
    await account(pool, "dan")
    for topic, contact in (("nudge", Contact("user", "dan")), ("invite", Contact("user", "bea"))):
        url = stop_url_of(KEYRING, SETTINGS.share_base, contact, cast("Stoppable", topic))
        await unsubscribe(pool, KEYRING, url.partition(PATH)[2])
    await joined(engine, market, "ann", "bea", "dan")
    await make_due(pool, "tier_near")

    await nudger_of(pool, app).tell_due(10)

    told = await messages(pool)
    assert set(told) == {"ann", "bea"}
    ann, bea = told["ann"], told["bea"]
    assert (ann.channel, ann.subject) == ("push", "2 personas más y todos pagan 8,00\u00a0US$.")
    assert ann.url is not None
    assert ann.url.endswith("?lang=es")
    assert "https://" not in ann.text
    assert ann.instead is not None
    assert (ann.instead.to, ann.instead.subject) == ("ann@example.com", ann.subject)
    assert ann.url in ann.instead.text
    assert (bea.instead, bea.unsubscribe_url is None) == (None, False)


async def test_somebody_who_was_erased_is_not_pushed(
    pool: asyncpg.Pool, engine: GroupEngine, market: Market
) -> None:
    app = msgspec.structs.replace(
        SETTINGS, push_webhook_url="https://push.example", push_webhook_secret=new_secret()
    )
    await joined(engine, market, "ann", "bea", "cem")
    await pool.execute("INSERT INTO erasures (subject, alias) VALUES ('ann', 'alias-1'), ('x', 'bea')")
    await make_due(pool, "tier_near")

    await nudger_of(pool, app).tell_due(10)

    assert set(await messages(pool)) == {"cem"}
