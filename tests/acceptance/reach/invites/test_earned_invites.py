"""Invitations are sent by seats that pay, to so many people, each of them counted once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import msgspec
import pytest

from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import Settings
from pintuan.people.consents import service as unsubscribing
from pintuan.reach.invites import limits
from pintuan.reach.invites.store import settle_waiting
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.reach.invites.test_inviting import STOP, invite, messages, mine, statuses
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

BEA = {"email": "bea@example.com"}
ENDED = ("declined", "expired")


@pytest.fixture
async def seat(market: Market, shoppers: Shoppers) -> dict[str, Any]:
    """Ann's order, which is not authorised yet."""
    return placed(await shoppers.open(await market.deal(), "ann"))


async def due(pool: asyncpg.Pool) -> int:
    """How many messages a courier would take now."""
    count: int = await pool.fetchval(
        "SELECT count(*) FROM notifications WHERE state = 'due' AND due_at <= app_now() AND kind = 'invite'"
    )
    return count


async def states(api: httpx.AsyncClient, bearer: Bearer, group: str) -> list[str]:
    return [one["state"] for one in (await mine(api, bearer, group))["items"]]


async def test_invitations_wait_for_the_seat_and_go_out_with_it(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, pool: asyncpg.Pool, seat: dict[str, Any]
) -> None:
    group = seat["group_id"]
    assert await statuses(await invite(api, bearer, group, BEA)) == ["queued"]
    assert (await due(pool), await settle_waiting(pool, 10), await states(api, bearer, group)) == (
        0,
        0,
        ["queued"],
    )
    await market.authorise(seat["id"])
    assert (await settle_waiting(pool, 10), await due(pool)) == (1, 1)
    # An authorised seat invites at once.
    assert await statuses(await invite(api, bearer, group, {"email": "cem@example.com"})) == ["queued"]
    assert (await settle_waiting(pool, 10), await due(pool)) == (0, 2)


@pytest.mark.parametrize("status", ENDED)
async def test_a_seat_that_never_pays_invites_nobody(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    seat: dict[str, Any],
    status: str,
) -> None:
    group = seat["group_id"]
    await invite(api, bearer, group, BEA, {"email": "cem@example.com"})
    placed(await shoppers.join_group(group, "dan"))
    await pool.execute("UPDATE orders SET status = $2 WHERE id = $1", seat["id"], status)
    assert await settle_waiting(pool, 10) == 2
    assert await pool.fetchval("SELECT count(*) FROM notifications") == 0
    assert await messages(api, BEA["email"]) == []
    assert await states(api, bearer, group) == []
    refused(await invite(api, bearer, group, BEA), 403, "forbidden")


async def test_who_comes_back_and_pays_invites_the_same_people(
    api: httpx.AsyncClient,
    bearer: Bearer,
    market: Market,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    seat: dict[str, Any],
) -> None:
    group = seat["group_id"]
    await invite(api, bearer, group, BEA)
    placed(await shoppers.join_group(group, "dan"))
    assert (await shoppers.cancel(seat["id"], "ann")).status_code == 200
    assert (await settle_waiting(pool, 10), await due(pool)) == (1, 0)
    again = placed(await shoppers.join_group(group, "ann"))
    await market.authorise(again["id"])
    assert await statuses(await invite(api, bearer, group, BEA)) == ["queued"]
    assert await due(pool) == 1


async def test_invitations_that_wait_for_the_morning_end_with_the_seat(
    bearer: Bearer, market: Market, pool: asyncpg.Pool, settings: Settings, contract: Contract
) -> None:
    hour = datetime.now(ZoneInfo("Asia/Seoul")).hour
    asleep = msgspec.structs.replace(settings, quiet_hours=f"{hour}-{(hour + 2) % 24}")
    async with serving(asleep, contract) as api:
        shoppers = Shoppers(api, bearer)
        order = placed(await shoppers.open(await market.deal(ttl_s=24 * 3600), "ann"))
        await market.authorise(order["id"])
        await invite(api, bearer, order["group_id"], {"phone": "+821012345678"}, {"phone": "+821012345679"})
        assert await settle_waiting(pool, 10) == 0
        assert (await shoppers.cancel(order["id"], "ann")).status_code == 200
        await pool.execute("UPDATE invites SET due_at = app_now()")
        assert (await settle_waiting(pool, 10), await due(pool)) == (2, 0)


async def test_whoever_wants_none_while_one_waits_gets_none_at_any_address_of_the_mailbox(
    api: httpx.AsyncClient,
    bearer: Bearer,
    market: Market,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    settings: Settings,
    seat: dict[str, Any],
) -> None:
    other = placed(await shoppers.open(await market.deal(), "dan"))
    await market.authorise(other["id"])
    await invite(api, bearer, other["group_id"], {"email": "bea+shop@example.com"}, by="dan")
    (text,) = await messages(api, "bea+shop@example.com")
    found = STOP.search(text)
    assert found is not None
    await invite(api, bearer, seat["group_id"], {"email": "bea+tea@example.com"})
    assert (await api.post(found[0])).status_code == 200
    await market.authorise(seat["id"])
    assert await settle_waiting(pool, 10) == 1
    assert await due(pool) == 0
    assert await states(api, bearer, seat["group_id"]) == ["sent"]
    assert await statuses(await invite(api, bearer, seat["group_id"], {"email": "cem@example.com"})) == [
        "queued"
    ]
    assert await due(pool) == 1
    # What was noted by an exact address, as before, holds as well.
    await pool.execute("UPDATE unsubscribes SET kid = 'another'")
    assert await unsubscribing.reseal(pool, keyring_of(settings), 10) == 1
    third = placed(await shoppers.open(await market.deal(), "eve"))
    await market.authorise(third["id"])
    await invite(api, bearer, third["group_id"], {"email": "bea@example.com"}, by="eve")
    assert await due(pool) == 1


async def test_the_addresses_of_one_mailbox_are_one_recipient(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, seat: dict[str, Any]
) -> None:
    aliases = [{"email": f"bea+{number}@example.com"} for number in range(3)]
    dotted = [{"email": "b.e.a@gmail.com"}, {"email": "bea+x@googlemail.com"}]
    answers = await statuses(await invite(api, bearer, seat["group_id"], *aliases, *dotted))
    assert answers == ["queued", "skipped", "skipped", "queued", "skipped"]
    assert await statuses(await invite(api, bearer, seat["group_id"], BEA)) == ["skipped"]
    assert await pool.fetchval("SELECT count(*) FROM notifications") == 2


async def test_one_mailbox_is_not_invited_by_everybody_at_once(
    api: httpx.AsyncClient, bearer: Bearer, shoppers: Shoppers, market: Market, pool: asyncpg.Pool
) -> None:
    for number in range(limits.INVITES_PER_RECIPIENT.count + 1):
        group = placed(await shoppers.open(await market.deal(), f"ann-{number}"))["group_id"]
        await invite(api, bearer, group, {"email": f"bea+{number}@example.com"}, by=f"ann-{number}")
    assert await pool.fetchval("SELECT count(*) FROM notifications") == limits.INVITES_PER_RECIPIENT.count


@pytest.mark.parametrize(
    ("name", "one_inviter", "one_group"),
    [
        ("INVITES_PER_INVITER", True, True),
        ("INVITES_PER_INVITER_AND_DAY", True, False),
        ("INVITES_TO_GROUP", False, True),
        ("INVITES_PER_CLIENT", False, False),
    ],
)
async def test_invitations_are_counted_by_inviter_group_and_client(
    api: httpx.AsyncClient,
    bearer: Bearer,
    shoppers: Shoppers,
    market: Market,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    one_inviter: bool,
    one_group: bool,
) -> None:
    monkeypatch.setattr(limits, name, msgspec.structs.replace(getattr(limits, name), count=3))
    group, answers = "", []
    for number in range(2):
        inviter = "ann" if one_inviter else f"ann-{number}"
        if not (one_group and group):
            group = placed(await shoppers.open(await market.deal(), inviter))["group_id"]
        elif not one_inviter:
            placed(await shoppers.join_group(group, inviter))
        recipients = [{"email": f"p{number}-{place}@example.com"} for place in range(2)]
        answers.append(await invite(api, bearer, group, *recipients, by=inviter))
    assert [answer.status_code for answer in answers] == [202, 429]
    assert int(answers[1].headers["Retry-After"]) > 0
    assert await pool.fetchval("SELECT count(*) FROM invites") == 2


@pytest.mark.parametrize(
    "phone",
    ["+19005550199", "+18005551234", "+447012345678", "+97912345678", "+881612345678", "+49180512345"],
)
async def test_no_text_goes_to_a_number_that_costs_or_reaches_nobody(
    api: httpx.AsyncClient, bearer: Bearer, seat: dict[str, Any], phone: str
) -> None:
    invited = refused(await invite(api, bearer, seat["group_id"], {"phone": phone}), 400, "invalid")
    assert invited["errors"][0]["field"] == "recipients[0].phone"
    code = refused(await api.post("/v1/auth/otp", json={"phone": phone}), 400, "invalid")
    assert code["errors"][0]["field"] == "phone"
