"""What somebody waits for goes before what nobody asked for, and nobody's messages hold up another's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import pytest

from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.keyring import Keyring
from pintuan.people.contacts.channels import Channel
from pintuan.people.notifications.channels import Notifier, UnknownRecipient
from pintuan.people.notifications.courier import (
    AWAITED_PER_CHANNEL_MAX,
    PER_SENDER_MAX,
    UNASKED_PER_CHANNEL_MAX,
    Courier,
)
from pintuan.people.notifications.jobs import Jobs
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue
from tests.mailbox import deliver_due
from tests.waiting import until

pytestmark = pytest.mark.anyio

KEYRING = Keyring("a key that seals messages in tests and nowhere else")
CODE = "493027"
EVERYWHERE = "ann@provider{}.example"


@dataclass
class Provider:
    """Notes what it was handed; while it holds, each message is answered when its text is let go."""

    holds: bool = True
    texts: list[str] = field(default_factory=list)
    answers: dict[str, asyncio.Event] = field(default_factory=dict)

    async def deliver(self, message: Message) -> None:
        self.texts.append(message.text)
        if self.holds:
            await self.answers.setdefault(message.text, asyncio.Event()).wait()

    def let_go(self, text: str | None = None) -> None:
        for answer in self.answers.values() if text is None else [self.answers[text]]:
            answer.set()


async def write(
    pool: asyncpg.Pool,
    texts: list[str],
    *,
    sender: str = "",
    awaited: bool = False,
    channel: Channel = "email",
    to: str = "ann@example.com",
) -> None:
    """Writes messages; a number in `to` is counted on from message to message."""
    async with pool.acquire() as connection:
        # Each is a transaction of its own, so that an earlier one is due earlier.
        for number, text in enumerate(texts):
            await enqueue(
                connection,
                KEYRING,
                Message(channel=channel, to=to.format(number), subject="Hello", text=text),
                kind="sign_in_code" if awaited else "nudge",
                lifetime_ms=600_000,
                awaited=awaited,
                sender=sender,
            )


async def write_flash_sales(pool: asyncpg.Pool, *, channel: Channel = "email") -> int:
    """Writes more nudges than there are places, whoever sells; returns how many."""
    senders = 2 * UNASKED_PER_CHANNEL_MAX // PER_SENDER_MAX
    for seller in range(senders):
        texts = [f"sale {seller} nudge {n}" for n in range(PER_SENDER_MAX)]
        await write(pool, texts, sender=f"mer_{seller}", channel=channel)
    return senders * PER_SENDER_MAX


def courier_of(pool: asyncpg.Pool, mail: Provider, push: Provider | None = None) -> Courier:
    notifiers: dict[Channel, Notifier] = {"email": mail}
    if push is not None:
        notifiers["push"] = push
    return Courier(pool, KEYRING, notifiers, keeps_readable=False)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    provider.let_go()


async def under_way(courier: Courier, provider: Provider, count: int) -> list[str]:
    """Starts what is due, and returns what the provider was handed once it was `count` messages more."""
    before = len(provider.texts)
    assert await courier.start_due() == count

    async def handed() -> bool:
        return len(provider.texts) == before + count

    await until(handed)
    return provider.texts[before:]


async def test_a_code_is_sent_while_nudges_have_all_their_places(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    await write_flash_sales(pool)
    courier = courier_of(pool, provider)
    await under_way(courier, provider, UNASKED_PER_CHANNEL_MAX)
    assert await courier.start_due() == 0

    await write(pool, [CODE], awaited=True)

    assert await under_way(courier, provider, 1) == [CODE]
    provider.let_go()
    await courier.finish()


async def test_codes_leave_room_as_well_and_go_in_their_order(pool: asyncpg.Pool, provider: Provider) -> None:
    codes = [f"code {n}" for n in range(AWAITED_PER_CHANNEL_MAX + 2)]
    await write(pool, codes, awaited=True, to=EVERYWHERE)
    await write(pool, ["nudge"], sender="mer_1")
    courier = courier_of(pool, provider)

    first = await under_way(courier, provider, AWAITED_PER_CHANNEL_MAX + 1)

    assert set(first) == {*codes[:AWAITED_PER_CHANNEL_MAX], "nudge"}
    provider.let_go()
    await courier.finish()
    provider.holds = False
    assert await deliver_due(courier) == 2


async def test_a_provider_that_does_not_answer_holds_up_its_own_channel_only(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    push = provider
    mail = Provider(holds=False)
    count = await write_flash_sales(pool, channel="push")
    codes = [f"push code {n}" for n in range(AWAITED_PER_CHANNEL_MAX)]
    await write(pool, codes, awaited=True, channel="push")
    courier = courier_of(pool, mail, push=push)
    await under_way(courier, push, UNASKED_PER_CHANNEL_MAX + AWAITED_PER_CHANNEL_MAX)

    await write(pool, ["nudge"], sender="mer_0")
    await write(pool, [CODE], awaited=True)

    assert set(await under_way(courier, mail, 2)) == {"nudge", CODE}
    assert count > UNASKED_PER_CHANNEL_MAX
    push.let_go()
    await courier.finish()


async def test_a_place_is_filled_again_while_the_slowest_is_still_on_its_way(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    await write_flash_sales(pool)
    courier = courier_of(pool, provider)
    ended = asyncio.Event()
    courier.on_ended = ended.set
    first = await under_way(courier, provider, UNASKED_PER_CHANNEL_MAX)

    provider.let_go(first[0])
    await ended.wait()

    await under_way(courier, provider, 1)
    provider.let_go()
    await courier.finish()


async def test_a_flash_sale_leaves_places_to_other_merchants(pool: asyncpg.Pool, provider: Provider) -> None:
    await write(pool, [f"sale {n}" for n in range(3 * UNASKED_PER_CHANNEL_MAX)], sender="mer_sale")
    courier = courier_of(pool, provider)
    assert len(await under_way(courier, provider, PER_SENDER_MAX)) == PER_SENDER_MAX
    assert await courier.start_due() == 0

    await write(pool, ["another's"], sender="mer_other")

    assert await under_way(courier, provider, 1) == ["another's"]
    provider.let_go()
    await courier.finish()


async def test_merchants_take_turns_however_long_one_of_them_has_waited(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    sellers = UNASKED_PER_CHANNEL_MAX // 2
    for seller in range(sellers):
        await write(pool, [f"{seller} {n}" for n in range(4)], sender=f"mer_{seller}")
    courier = courier_of(pool, provider)

    first = await under_way(courier, provider, UNASKED_PER_CHANNEL_MAX)

    assert set(Counter(text.split()[0] for text in first).values()) == {2}
    # A merchant with two on their way comes behind one that has none.
    await write(pool, ["new"], sender="mer_new")
    ended = asyncio.Event()
    courier.on_ended = ended.set
    provider.let_go(first[0])
    await ended.wait()
    assert await under_way(courier, provider, 1) == ["new"]
    provider.let_go()
    await courier.finish()


async def test_processes_that_take_at_once_send_each_code_once_and_leave_none(pool: asyncpg.Pool) -> None:
    provider = Provider(holds=False)
    codes = [f"code {n}" for n in range(2 * AWAITED_PER_CHANNEL_MAX)]
    await write(pool, codes, awaited=True)

    taken = await asyncio.gather(*(deliver_due(courier_of(pool, provider)) for _ in range(4)))
    # A process that chose what others had just locked takes it with its next sweep, if they have not.
    left = await deliver_due(courier_of(pool, provider))

    assert sum(taken) + left == len(codes)
    assert sorted(provider.texts) == sorted(codes)


async def test_codes_to_a_provider_that_does_not_answer_leave_places_to_others(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    slow = [f"slow {n}" for n in range(2 * AWAITED_PER_CHANNEL_MAX)]
    await write(pool, slow, awaited=True, to="ann@mail{}.slow.example")
    courier = courier_of(pool, provider)
    half = AWAITED_PER_CHANNEL_MAX // 2
    assert set(await under_way(courier, provider, half)) == set(slow[:half])
    assert await courier.start_due() == 0

    # A second one leaves places as well, and so on.
    await write(pool, [f"second {n}" for n in range(len(slow))], awaited=True, to="ann@second.co.uk")
    await under_way(courier, provider, half // 2)
    await write(pool, [CODE], awaited=True, to="ann@third.co.uk")

    assert await under_way(courier, provider, 1) == [CODE]
    ended: list[None] = []
    courier.on_ended = lambda: ended.append(None)
    for text in slow[:6]:
        provider.let_go(text)

    async def six_have_ended() -> bool:
        return len(ended) == 6

    await until(six_have_ended)
    # Both come near a third: of 32 places the first has 11 then, the second 10, and 10 are left.
    filled = await under_way(courier, provider, 3)
    assert Counter(text.split()[0] for text in filled) == {"second": 2, "slow": 1}
    provider.let_go()
    await courier.finish()


async def test_destinations_take_turns_however_long_one_of_them_has_waited(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    await write(
        pool, [f"early {n}" for n in range(AWAITED_PER_CHANNEL_MAX)], awaited=True, to="ann@one.example"
    )
    await write(pool, ["late 1", "late 2"], awaited=True, to="ann@two.example")
    courier = courier_of(pool, provider)

    first = await under_way(courier, provider, 17)

    assert Counter(text.split()[0] for text in first) == {"early": 15, "late": 2}
    provider.let_go()
    await courier.finish()


async def test_texts_to_one_country_leave_places_to_others_and_pushes_have_one_service(
    pool: asyncpg.Pool, provider: Provider
) -> None:
    push = Provider()
    count = AWAITED_PER_CHANNEL_MAX
    await write(pool, [f"korea {n}" for n in range(count)], awaited=True, channel="sms", to="+821012345678")
    await write(pool, [f"push {n}" for n in range(count)], awaited=True, channel="push", to="usr_ann")
    courier = Courier(pool, KEYRING, {"sms": provider, "push": push}, keeps_readable=False)

    assert await courier.start_due() == count + count // 2

    await write(pool, [CODE], awaited=True, channel="sms", to="+33612345678")
    assert await courier.start_due() == 1
    provider.let_go()
    push.let_go()
    await courier.close()


async def test_what_takes_a_messages_place_is_waited_for_as_it_was(pool: asyncpg.Pool) -> None:
    class Unknown(Provider):
        async def deliver(self, message: Message) -> None:
            self.texts.append(message.text)
            raise UnknownRecipient("HTTP 404")

    mail = Message(channel="email", to="ann@example.com", subject="Hello", text="instead")
    for awaited, sender in ((True, ""), (False, "mer_1")):
        message = Message(channel="push", to="usr_ann", subject="Hello", text="Hello", instead=mail)
        async with pool.acquire() as connection:
            await enqueue(
                connection, KEYRING, message, kind="news", lifetime_ms=60_000, awaited=awaited, sender=sender
            )
    await deliver_due(courier_of(pool, Provider(), push=Unknown()))

    rows = await pool.fetch("SELECT awaited, sender FROM notifications WHERE channel = 'email'")
    assert {tuple(row) for row in rows} == {(True, ""), (False, "mer_1")}


async def test_a_worker_sends_a_code_before_the_nudges_that_are_due_longer(pool: asyncpg.Pool) -> None:
    provider = Provider(holds=False)
    count = await write_flash_sales(pool)
    await write(pool, [CODE], awaited=True)
    courier = courier_of(pool, provider)
    jobs = ProcessJobs()
    jobs.add(Jobs(courier, jobs))

    await jobs.run("notifications")

    async def all_are_sent() -> bool:
        return bool(await pool.fetchval("SELECT bool_and(state = 'sent') FROM notifications"))

    await until(all_are_sent)
    await jobs.close()
    await courier.close()
    assert len(provider.texts) == count + 1
    assert provider.texts.index(CODE) <= UNASKED_PER_CHANNEL_MAX
