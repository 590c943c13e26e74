"""One sender decides for every topic whether a letter is written, how it gets there, and when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import asyncpg
import pytest

from pintuan.base.keyring import Keyring
from pintuan.people.consents.service import PATH, stop_of_token, stop_url_of
from pintuan.people.consents.stoppable import Stoppable
from pintuan.people.contacts.channels import Channel
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.letter import Letter
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.post import Post
from pintuan.people.notifications.quiet_hours import QuietHours
from pintuan.people.notifications.service import unseal
from pintuan.people.notifications.topics import Topic, stop_line
from pintuan.people.notifications.unsubscribing import unsubscribe

pytestmark = pytest.mark.anyio

SECRET = "a key that seals messages in tests and nowhere else"
KEYRING = Keyring(SECRET)
SHARE_BASE = "https://shop.example/g/"
URL = "https://shop.example/g/abc"
ANN = (Contact("user", "usr_ann"), Contact("email", "ann@example.com"), Contact("phone", "+821012345678"))
ALL: frozenset[Channel] = frozenset(get_args(Channel))
HOUR_MS = 3_600_000
# In Seoul it is two in the morning.
NIGHT = datetime(2030, 1, 1, 17, tzinfo=UTC)
NOON = datetime(2030, 1, 1, 3, tzinfo=UTC)
AWAKE_IN_MS = 7 * HOUR_MS
STOPPABLE = [topic for topic in Topic if topic.rules.stop is not None]


def post(channels: Iterable[Channel] = ALL, *, keyring: Keyring = KEYRING) -> Post:
    return Post(keyring, frozenset(channels), QuietHours(21, 9), share_base=SHARE_BASE)


def letter(topic: Topic, **changes: Any) -> Letter:
    values: dict[str, Any] = {
        "to": ANN,
        "language": "ko",
        "topic": topic,
        "title": "Hello",
        "text": "It is about Tea.",
        "url": URL,
        "lifetime_ms": HOUR_MS,
        "sender": "mer_1",
        "now": NOON,
    }
    return Letter(**(values | changes))


async def written(pool: asyncpg.Pool, sender: Post, *letters: Letter) -> list[str | None]:
    async with pool.acquire() as connection, connection.transaction():
        return await sender.write_all(connection, letters)


async def stop(pool: asyncpg.Pool, kind: Stoppable, contact: Contact) -> None:
    token = stop_url_of(KEYRING, SHARE_BASE, contact, kind).partition(PATH)[2]
    assert await unsubscribe(pool, KEYRING, token) == kind


async def rows(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    """What was written, with when it is due and expires, in ms from its writing."""
    return await pool.fetch(
        "SELECT *, round(extract(epoch FROM due_at - created_at) * 1000)::bigint AS due_ms,"
        " round(extract(epoch FROM expires_at - created_at) * 1000)::bigint AS expires_ms"
        " FROM notifications ORDER BY id"
    )


async def only_message(pool: asyncpg.Pool) -> Message:
    (row,) = await rows(pool)
    message = unseal(KEYRING, row["sealed"])
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("topic", "kind", "awaited"),
    [
        (Topic.SIGN_IN_CODE, "sign_in_code", True),
        (Topic.INVITATION, "invite", False),
        (Topic.NUDGE, "nudge", False),
        (Topic.OUTCOME, "nudge", False),
    ],
)
async def test_a_letter_is_queued_as_its_topic_says(
    pool: asyncpg.Pool, topic: Topic, kind: str, awaited: bool
) -> None:
    (message_id,) = await written(pool, post(), letter(topic))

    (row,) = await rows(pool)
    assert (row["id"], row["kind"], row["awaited"], row["sender"]) == (message_id, kind, awaited, "mer_1")
    assert (row["state"], row["due_ms"], row["expires_ms"]) == ("due", 0, HOUR_MS)
    assert len(Topic) == 4


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize(
    ("set_up", "first", "instead"),
    [
        (("push", "email", "sms"), 0, 1),
        (("push", "sms"), 0, 2),
        (("push",), 0, None),
        (("email", "sms"), 1, None),
        (("sms",), 2, None),
        ((), None, None),
    ],
    ids=str,
)
async def test_a_letter_goes_by_the_app_and_with_a_mail_or_else_a_text_for_whom_it_does_not_reach(
    pool: asyncpg.Pool, topic: Topic, set_up: tuple[Channel, ...], first: int | None, instead: int | None
) -> None:
    # The noun names the addresses in any order.
    (message_id,) = await written(pool, post(set_up), letter(topic, to=ANN[::-1]))

    if first is None:
        assert (message_id, await rows(pool)) == (None, [])
        return
    message = await only_message(pool)
    assert (message.channel, message.to) == (ANN[first].channel, ANN[first].address)
    other = message.instead
    if instead is None:
        assert other is None
    else:
        assert other is not None
        assert (other.channel, other.to) == (ANN[instead].channel, ANN[instead].address)
    (row,) = await rows(pool)
    assert row["recipient_digest"] == ANN[first].digests(KEYRING)[0]


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize("contact", ANN, ids=lambda contact: contact.kind)
async def test_a_push_has_its_links_beside_the_text_and_others_have_them_within(
    pool: asyncpg.Pool, topic: Topic, contact: Contact
) -> None:
    await written(pool, post(), letter(topic, to=(contact,)))

    message, kind = await only_message(pool), topic.rules.stop
    assert (message.subject, message.text.startswith("It is about Tea.")) == ("Hello", True)
    if kind is None:
        assert message.unsubscribe_url is None
    else:
        assert message.unsubscribe_url is not None
        link = stop_of_token(KEYRING, message.unsubscribe_url.partition(PATH)[2])
        assert (link.contact, link.topic) == (contact, kind)
    if contact.kind == "user":
        assert (message.text, message.url) == ("It is about Tea.", URL)
    elif kind is None or message.unsubscribe_url is None:
        assert (message.text, message.url) == (f"It is about Tea.\n{URL}", None)
    else:
        line = stop_line(kind, message.unsubscribe_url, "ko")
        assert (message.text, message.url) == (f"It is about Tea.\n{URL}\n\n{line}", None)


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize("kind", get_args(Stoppable))
@pytest.mark.parametrize("contact", ANN, ids=lambda contact: contact.kind)
async def test_somebody_who_stopped_a_kind_at_an_address_is_written_everything_else_there(
    pool: asyncpg.Pool, topic: Topic, kind: Stoppable, contact: Contact
) -> None:
    await stop(pool, kind, contact)

    (message_id,) = await written(pool, post(), letter(topic, to=(contact,)))

    assert (message_id is None) == (topic.rules.stop == kind)
    assert len(await rows(pool)) == (message_id is not None)


@pytest.mark.parametrize("topic", STOPPABLE)
async def test_somebody_who_stopped_the_mail_is_not_pushed_either_but_for_an_address_that_is_not_used(
    pool: asyncpg.Pool, topic: Topic
) -> None:
    assert topic.rules.stop is not None
    await stop(pool, topic.rules.stop, ANN[1])

    assert await written(pool, post(), letter(topic)) == [None]
    assert await written(pool, post({"email"}), letter(topic)) == [None]
    assert await written(pool, post({"push", "sms"}), letter(topic)) != [None]


@pytest.mark.parametrize("topic", STOPPABLE)
@pytest.mark.parametrize("address", ["ann+shop@gmail.com", "a.nn@googlemail.com", "ann@gmail.com"])
async def test_all_addresses_of_a_mailbox_are_stopped_together(
    pool: asyncpg.Pool, topic: Topic, address: str
) -> None:
    assert topic.rules.stop is not None
    await stop(pool, topic.rules.stop, Contact("email", "an.n+news@gmail.com"))

    assert await written(pool, post(), letter(topic, to=(Contact("email", address),))) == [None]
    assert await rows(pool) == []


@pytest.mark.parametrize("topic", STOPPABLE)
async def test_who_stopped_it_is_known_though_the_secret_changes(pool: asyncpg.Pool, topic: Topic) -> None:
    assert topic.rules.stop is not None
    await stop(pool, topic.rules.stop, ANN[1])
    rotated = Keyring(
        "the secret of next year, which is long enough",
        [SECRET],
    )

    assert await written(pool, post(keyring=rotated), letter(topic, to=ANN[1:2])) == [None]


async def test_letters_of_several_topics_keep_their_order_and_each_asks_for_its_own_consent(
    pool: asyncpg.Pool,
) -> None:
    bea = (Contact("email", "bea@example.com"),)
    await stop(pool, "nudge", ANN[1])
    await stop(pool, "invite", bea[0])
    letters = [letter(topic, to=to) for to in (ANN[1:2], bea) for topic in Topic]

    ids = await written(pool, post(), *letters)

    silent = [one is None for one in ids]
    assert silent == [False, False, True, True, False, True, False, False]
    assert [row["id"] for row in await rows(pool)] == sorted(one for one in ids if one is not None)
    assert await written(pool, post()) == []


@pytest.mark.parametrize(
    ("topic", "due_ms", "expires_ms"),
    [
        (Topic.SIGN_IN_CODE, 0, 8 * HOUR_MS),
        (Topic.INVITATION, AWAKE_IN_MS, 8 * HOUR_MS),
        (Topic.NUDGE, None, None),
        (Topic.OUTCOME, AWAKE_IN_MS, AWAKE_IN_MS + 8 * HOUR_MS),
    ],
)
@pytest.mark.parametrize("contact", ANN, ids=lambda contact: contact.kind)
async def test_at_night_a_code_is_sent_a_nudge_is_dropped_and_others_wait(
    pool: asyncpg.Pool, topic: Topic, contact: Contact, due_ms: int | None, expires_ms: int | None
) -> None:
    night = letter(topic, to=(contact,), now=NIGHT, lifetime_ms=8 * HOUR_MS)
    await written(pool, post(), night)

    found = [(row["due_ms"], row["expires_ms"]) for row in await rows(pool)]
    assert found == ([] if due_ms is None else [(due_ms, expires_ms)])


async def test_where_somebody_sleeps_is_told_by_the_last_address_of_the_letter(pool: asyncpg.Pool) -> None:
    # The number is of Korea, where it is night, and readers of English live anywhere.
    asleep = letter(Topic.NUDGE, to=(ANN[0], ANN[2]), language="en", now=NIGHT)
    awake = letter(Topic.NUDGE, to=ANN, language="en", now=NIGHT)

    assert await written(pool, post(), asleep) == [None]
    assert await written(pool, post(), awake) != [None]
    undisturbed = Post(KEYRING, ALL, None, share_base=SHARE_BASE)
    assert await written(pool, undisturbed, asleep) != [None]


@pytest.mark.parametrize("now", [NOON, NIGHT])
@pytest.mark.parametrize("topic", Topic)
async def test_a_held_letter_leaves_only_when_it_is_let_go(
    pool: asyncpg.Pool, topic: Topic, now: datetime
) -> None:
    await written(pool, post(), letter(topic, held=True, now=now))

    (row,) = await rows(pool)
    assert (row["due_ms"], row["expires_ms"]) == (HOUR_MS, HOUR_MS)


@pytest.mark.parametrize("topic", Topic)
async def test_neither_address_nor_text_can_be_read_in_the_row(pool: asyncpg.Pool, topic: Topic) -> None:
    await written(pool, post(), letter(topic, code="493027"))

    row = await pool.fetchval("SELECT encode(sealed, 'escape') || n::text FROM notifications n")
    said = [*(contact.address.removeprefix("+") for contact in ANN), "Tea", "Hello", "abc", "493027"]
    assert [one for one in said if one in row] == []
    (sealed,) = await rows(pool)
    assert unseal(Keyring("another secret, which is long enough as well"), sealed["sealed"]) is None


async def test_nothing_is_announced_that_did_not_happen(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await post().write(connection, letter(Topic.OUTCOME)) is not None
        await transaction.rollback()

    assert await rows(pool) == []


async def test_a_letter_that_waits_is_taken_back_by_who_wants_no_more_of_its_kind(
    pool: asyncpg.Pool,
) -> None:
    await written(pool, post(), *(letter(topic, to=ANN[1:2]) for topic in Topic))

    await stop(pool, "nudge", ANN[1])

    states = {(row["kind"], row["state"]) for row in await rows(pool)}
    assert states == {("sign_in_code", "due"), ("invite", "due"), ("nudge", "expired")}


def test_the_wait_is_the_time_until_the_morning_and_none_in_the_day() -> None:
    assert post().wait_ms(ANN[2], "en", NIGHT) == AWAKE_IN_MS
    assert post().wait_ms(ANN[2], "en", NOON) == 0
    assert post().wait_ms(ANN[1], "en", NIGHT + timedelta(hours=1)) == 0
