"""What a deal limits outlives an erasure while the deal can sell, and is forgotten with its limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from pintuan.base.auth import Principal
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.bootstrap import open_resources
from pintuan.buying.archive.service import Archivist
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity.erased import TOKENS_MS
from pintuan.people.identity.service import give_role
from pintuan.running.audit.store import checks, offenders
from tests.erasing import Eraser
from tests.market import Market
from tests.people import erase

pytestmark = pytest.mark.anyio

ANN: Final = Contact("email", "ann@example.com")
BOB: Final = Contact("phone", "+12025550123")
LIMIT: Final = 2
DAY_MS: Final = 24 * 3_600_000


@pytest.fixture
async def resources(database_url: str, redis_url: str) -> AsyncIterator[Resources]:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, secret_key="k" * 40, rate_limits=False
    )
    async with open_resources(settings, is_api=True) as resources:
        yield resources


async def account(resources: Resources, contact: Contact) -> str:
    """Whoever signs in with the contact now."""
    async with resources.pool.acquire() as connection, connection.transaction():
        account_id, _ = await give_role(connection, contact, "buyer")
    return account_id


async def buy(resources: Resources, deal: str, buyer: str, method: str, *, quantity: int) -> tuple[Any, Any]:
    """Buys alone, has it paid, and returns the order's status and why it was declined."""
    wish = Market(resources.pool).wish(
        buyer, deal=deal, verb="solo", quantity=quantity, method=method, key=method
    )
    placed = await resources.engine.place(wish)
    return await paid(resources, placed.order_id)


async def paid(resources: Resources, order_id: str) -> tuple[Any, Any]:
    """Makes all payments that are due, and returns what became of an order."""
    await PaymentExecutor(resources.pool, SandboxGateway(resources.pool)).drain()
    row = await resources.pool.fetchrow("SELECT status, decline_reason FROM orders WHERE id = $1", order_id)
    assert row is not None
    return row["status"], row["decline_reason"]


async def sound(resources: Resources) -> None:
    """Holds no check of the audit that Postgres alone can answer broken."""
    async with resources.pool.acquire() as connection:
        for check in checks():
            assert await offenders(connection, check) == [], check


async def test_a_card_holds_no_more_units_though_its_accounts_are_erased(resources: Resources) -> None:
    deal = await Market(resources.pool).deal(per_buyer=LIMIT)
    for turn, (contact, expected) in enumerate(
        [
            (ANN, ("captured", None)),
            (BOB, ("captured", None)),
            (Contact("email", "cem@example.com"), ("declined", "card_limit")),
        ]
    ):
        buyer = await account(resources, contact)
        assert await buy(resources, deal, buyer, "pm_ok:one-card", quantity=1) == expected, turn
        await erase(resources, Principal(buyer, "buyer"))
    units = await resources.pool.fetch("SELECT units FROM erased_units ORDER BY units")
    # The card's, and those of the two who bought.
    assert [row["units"] for row in units] == [1, 1, LIMIT]
    assert await resources.pool.fetchval("SELECT count(*) FROM orders WHERE card_digest IS NOT NULL") == 0
    await sound(resources)


@pytest.mark.parametrize("contact", [ANN, BOB], ids=["email", "phone"])
async def test_somebody_who_comes_back_has_no_more_units_by_another_card(
    resources: Resources, contact: Contact
) -> None:
    deal, other = [await Market(resources.pool).deal(per_buyer=LIMIT) for _ in range(2)]
    first = await account(resources, contact)
    assert await buy(resources, deal, first, "pm_ok:card-1", quantity=1) == ("captured", None)
    await erase(resources, Principal(first, "buyer"))

    second = await account(resources, contact)
    assert second != first
    assert await buy(resources, deal, second, "pm_ok:card-2", quantity=1) == ("captured", None)
    assert await buy(resources, deal, second, "pm_ok:card-3", quantity=1) == ("declined", "buyer_limit")
    # What was declined counts no more, and neither does it keep anybody from other deals.
    assert await buy(resources, other, second, "pm_ok:card-4", quantity=LIMIT) == ("captured", None)
    await erase(resources, Principal(second, "buyer"))

    third = await account(resources, contact)
    assert await buy(resources, deal, third, "pm_ok:card-5", quantity=1) == ("declined", "buyer_limit")
    stranger = await account(resources, Contact("email", "dan@example.com"))
    assert await buy(resources, deal, stranger, "pm_ok:card-6", quantity=LIMIT) == ("captured", None)
    await sound(resources)


async def test_two_purchases_that_are_paid_at_once_do_not_pass_the_limit_together(
    resources: Resources,
) -> None:
    deal = await Market(resources.pool).deal(per_buyer=LIMIT)
    first = await account(resources, ANN)
    assert await buy(resources, deal, first, "pm_ok:card-1", quantity=1) == ("captured", None)
    await erase(resources, Principal(first, "buyer"))

    second = await account(resources, ANN)
    market = Market(resources.pool)
    placed = [
        await resources.engine.place(
            market.wish(second, deal=deal, verb="solo", quantity=1, method=f"pm_ok:card-{n}")
        )
        for n in (2, 3)
    ]
    found = [await paid(resources, one.order_id) for one in placed]
    assert sorted(found, key=str) == [("captured", None), ("declined", "buyer_limit")]


async def test_what_still_runs_when_its_buyer_is_erased_counts_too(resources: Resources) -> None:
    market = Market(resources.pool)
    deal = await market.deal(per_buyer=LIMIT, min_headcount=2)
    first = await account(resources, ANN)
    running = await resources.engine.place(
        market.wish(first, deal=deal, verb="open", quantity=LIMIT, method="pm_ok:card-1")
    )
    assert await paid(resources, running.order_id) == ("authorised", None)
    await erase(resources, Principal(first, "buyer"))
    assert await resources.pool.fetchval("SELECT count(*) FROM erased_units") == 0

    second = await account(resources, ANN)
    assert await buy(resources, deal, second, "pm_ok:card-2", quantity=1) == ("declined", "buyer_limit")
    # The group fails, and nobody has anything.
    await resources.pool.execute("UPDATE orders SET status = 'released' WHERE id = $1", running.order_id)
    assert await buy(resources, deal, second, "pm_ok:card-3", quantity=1) == ("captured", None)


async def test_somebody_without_an_account_is_known_by_their_name(resources: Resources) -> None:
    deal = await Market(resources.pool).deal(per_buyer=LIMIT)
    assert await buy(resources, deal, "shops|ann", "pm_ok:card-1", quantity=LIMIT) == ("captured", None)
    await erase(resources, Principal("shops|ann", "buyer"))
    assert await buy(resources, deal, "shops|ann", "pm_ok:card-2", quantity=1) == ("declined", "buyer_limit")
    assert await buy(resources, deal, "shops|bob", "pm_ok:card-3", quantity=1) == ("captured", None)


async def test_what_is_kept_goes_with_the_limits_of_the_deal(resources: Resources) -> None:
    deal = await Market(resources.pool).deal(per_buyer=LIMIT)
    buyer, late = await account(resources, ANN), await account(resources, BOB)
    for one in (buyer, late):
        assert await buy(resources, deal, one, f"pm_ok:{one}", quantity=1) == ("captured", None)
    await erase(resources, Principal(buyer, "buyer"))
    archivist = Archivist(resources.pool, age_ms=7 * DAY_MS)
    assert await archivist.forget_limits(10) == 0
    kept = await resources.pool.fetch("SELECT * FROM erased_units")
    assert {(row["deal_id"], len(row["holder"]), row["units"]) for row in kept} == {(deal, 16, 1)}
    assert len(kept) == 2

    await resources.pool.execute(
        "UPDATE deals SET status = 'ended', updated_at = app_now() - interval '8 days'"
    )
    # A row at a time: two buyers' units, of which one has an alias by now, and two digests.
    for left in (2, 2, 1, 0):
        assert await archivist.forget_limits(1) == 1
        assert await resources.pool.fetchval("SELECT count(*) FROM erased_units") == left
    assert await archivist.forget_limits(1) == 1
    assert await archivist.forget_limits(1) == 0
    # Somebody who is erased later leaves nothing for a deal whose limits are forgotten.
    await erase(resources, Principal(late, "buyer"))
    assert await resources.pool.fetchval("SELECT count(*) FROM erased_units") == 0
    # By what they would be known again goes with the erasure.
    await resources.pool.execute(
        "UPDATE erasures SET look_at = app_now(),"
        " erased_at = erased_at - $1::bigint * interval '1 millisecond'",
        TOKENS_MS + 1,
    )
    await Eraser(resources.pool, resources.engine).look(10)
    assert await resources.pool.fetchval("SELECT count(*) FROM erasures") == 0
