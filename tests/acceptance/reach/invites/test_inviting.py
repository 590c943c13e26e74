"""Members invite people by personal links, and learn what came of it and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from pintuan.http.pagination import encode_cursor
from pintuan.reach.invites.limits import INVITES_PER_RECIPIENT
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.acceptance.signing_in import header_of, sign_in
from tests.market import Market

pytestmark = pytest.mark.anyio

JSON = {"Accept": "application/json"}
BEA = {"email": "bea@example.com"}
INVITED = re.compile(r"/g/(\w+)\?invite=([\w-]+)")
STOP = re.compile(r"/v1/unsubscribe/[\w=-]+")


@pytest.fixture
async def group(market: Market, shoppers: Shoppers) -> str:
    """A group that Ann is in."""
    group_id: str = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
    return group_id


async def invite(
    api: httpx.AsyncClient,
    bearer: Bearer,
    group: str,
    *recipients: dict[str, str],
    by: str = "ann",
    **more: Any,
) -> httpx.Response:
    return await api.post(
        f"/v1/groups/{group}/invites", json={"recipients": recipients} | more, headers=bearer("buyer", by)
    )


async def statuses(response: httpx.Response) -> list[str]:
    assert response.status_code == 202, response.text
    return [one["status"] for one in response.json()["recipients"]]


async def messages(api: httpx.AsyncClient, to: str) -> list[str]:
    outbox = await api.get("/dev/outbox", params={"to": to}, headers=JSON)
    return [item["text"] for item in outbox.json()["items"]]


async def mine(api: httpx.AsyncClient, bearer: Bearer, group: str, by: str = "ann") -> dict[str, Any]:
    answer = await api.get(f"/v1/groups/{group}/invites", headers=bearer("buyer", by))
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_friend_comes_by_a_personal_link_and_the_inviter_sees_how_far(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, shoppers: Shoppers, group: str
) -> None:
    asked = await invite(api, bearer, group, BEA, {"phone": "+33 6 12 34 56 78"})
    assert await statuses(asked) == ["queued", "queued"]
    assert asked.json()["recipients"][1]["phone"] == "+33612345678"
    (text,) = await messages(api, "bea@example.com")
    found = INVITED.search(text)
    assert found is not None
    share_code, code = found.groups()
    shown = (await mine(api, bearer, group))["items"]
    assert {(one["state"], one["recipient"]) for one in shown} == {
        ("queued", "…78"),
        ("queued", "b…@example.com"),
    }

    opened = await api.get(f"/v1/share/{share_code}", params={"invite": code})
    assert opened.json()["id"] == group
    states = {one["invite_code"]: one["state"] for one in (await mine(api, bearer, group))["items"]}
    assert states.pop(code) == "opened"
    ((other, state),) = states.items()
    assert state == "queued"
    page = await api.get(f"/g/{share_code}", params={"invite": other})
    assert f'<meta property="og:url" content="http://localhost:8000/g/{share_code}">' in page.text
    assert {one["state"] for one in (await mine(api, bearer, group))["items"]} == {"opened"}

    order = placed(await shoppers.join_group(group, "bea", invite_code=code))
    assert (await mine(api, bearer, group))["counts"] == {
        "invited": 2,
        "opened": 2,
        "joined": 1,
        "authorised": 0,
    }
    await market.authorise(order["id"])
    answer = await mine(api, bearer, group)
    assert {one["invite_code"]: one["state"] for one in answer["items"]}[code] == "authorised"
    assert "bea@example.com" not in str(answer)


async def test_the_merchant_sees_what_each_channel_brought_and_nobody_elses(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, shoppers: Shoppers, group: str
) -> None:
    await invite(api, bearer, group, BEA, {"email": "cem@example.com"})
    codes = [one["invite_code"] for one in (await mine(api, bearer, group))["items"]]
    order = placed(await shoppers.join_group(group, "bea", invite_code=codes[0]))
    placed(await shoppers.join_group(group, "cem", invite_code="nobodys-code"))
    await market.authorise(order["id"])

    path = f"/v1/merchant/deals/{order['deal_id']}/funnel"
    answer = await api.get(path, headers=bearer("merchant", "acme"))

    assert answer.status_code == 200, answer.text
    channels = {one.pop("channel"): one for one in answer.json()["channels"]}
    assert channels["email"] == {"invited": 2, "opened": 0, "joined": 1, "authorised": 1, "settled": 0}
    assert channels["other"] == {"invited": 0, "opened": 0, "joined": 2, "authorised": 0, "settled": 0}
    refused(await api.get(path, headers=bearer("merchant", "teahouse")), 404, "not_found")
    assert (await api.get(path, headers=bearer("admin", "root"))).status_code == 200


async def test_the_merchant_sees_who_brought_whom_without_who_they_are(
    api: httpx.AsyncClient, bearer: Bearer, shoppers: Shoppers, group: str
) -> None:
    for inviter, friend in (("ann", "bea"), ("bea", "cem")):
        await invite(api, bearer, group, {"email": f"{friend}@example.com"}, by=inviter)
        (sent,) = (await mine(api, bearer, group, inviter))["items"]
        placed(await shoppers.join_group(group, friend, invite_code=sent["invite_code"]))
    placed(await shoppers.join_group(group, "dan", invite_code="nobodys-code"))

    path = f"/v1/merchant/groups/{group}/referrals"
    answer = await api.get(path, headers=bearer("merchant", "acme"))

    ann, bea, cem, dan = answer.json()["items"]
    assert [one["brought_by"] for one in (ann, bea, cem, dan)] == [None, ann["buyer"], bea["buyer"], None]
    assert (bea["channel"], dan["channel"]) == ("email", None)
    assert len({one["buyer"] for one in (ann, bea, cem, dan)}) == 4
    assert not any(name in answer.text for name in ('"ann"', '"bea"', "example.com"))
    refused(await api.get(path, headers=bearer("merchant", "teahouse")), 404, "not_found")
    refused(await api.get(path, headers=bearer("buyer", "ann")), 403, "forbidden")

    acme, listed, params = bearer("merchant", "acme"), [], {"limit": "1"}
    for left in (3, 2, 1, 0):
        page = (await api.get(path, params=params, headers=acme)).json()
        listed += page["items"]
        assert (page["next_cursor"] is None) == (left == 0)
        params = {"limit": "1", "cursor": str(page["next_cursor"] or params["cursor"])}
    assert listed == [ann, bea, cem, dan]
    beyond = {"cursor": encode_cursor(datetime.max.replace(tzinfo=UTC), "ord_9")}
    assert (await api.get(path, params=beyond, headers=acme)).json()["items"] == []
    rival = await api.get(path, params=beyond, headers=bearer("merchant", "teahouse"))
    refused(rival, 404, "not_found")
    refused(await api.get(path, params={"cursor": "none"}, headers=acme), 400, "invalid")


async def test_codes_of_another_group_and_ones_own_count_for_nobody(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, shoppers: Shoppers, group: str
) -> None:
    await invite(api, bearer, group, BEA)
    (shown,) = (await mine(api, bearer, group))["items"]
    other = placed(await shoppers.open(await market.deal(), "cem"))["group_id"]
    placed(await shoppers.join_group(other, "bea", invite_code=shown["invite_code"]))
    first = await api.get(f"/v1/groups/{group}", headers=bearer("buyer", "ann"))
    assert (await shoppers.cancel(first.json()["my_order"]["id"], "ann")).status_code == 200
    placed(await shoppers.join_group(group, "ann", invite_code=shown["invite_code"]))

    assert (await mine(api, bearer, group))["counts"]["joined"] == 0


async def test_nobody_is_invited_twice_and_a_second_inviter_does_not_learn_of_the_first(
    api: httpx.AsyncClient, bearer: Bearer, shoppers: Shoppers, group: str
) -> None:
    assert await statuses(await invite(api, bearer, group, BEA, {"email": "Bea@Example.com"})) == [
        "queued",
        "skipped",
    ]
    assert await statuses(await invite(api, bearer, group, BEA)) == ["skipped"]
    placed(await shoppers.join_group(group, "cem"))

    assert await statuses(await invite(api, bearer, group, BEA, by="cem")) == ["queued"]
    assert len(await messages(api, "bea@example.com")) == 1
    assert (await mine(api, bearer, group, "cem"))["counts"]["invited"] == 1


async def test_only_members_of_an_open_group_invite(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, group: str
) -> None:
    refused(await invite(api, bearer, group, BEA, by="bob"), 403, "forbidden")
    refused(await invite(api, bearer, "grp_none", BEA), 404, "not_found")
    refused(await api.get(f"/v1/groups/{group}/invites", headers=bearer("buyer", "bob")), 403, "forbidden")
    refused(await api.get("/v1/groups/grp_none/invites", headers=bearer("buyer", "ann")), 404, "not_found")
    refused(await api.post(f"/v1/groups/{group}/invites", json={"recipients": [BEA]}), 401, "unauthenticated")
    await market.pass_deadline(group)
    refused(await invite(api, bearer, group, BEA), 409, "group_closed")
    assert await messages(api, "bea@example.com") == []


@pytest.mark.parametrize(
    ("recipients", "field"),
    [
        ([{"email": "nobody"}], "recipients[0].email"),
        ([BEA, {"phone": "12"}], "recipients[1].phone"),
        ([BEA | {"phone": "+33612345678"}], "recipients[0].email"),
        ([{}], "recipients[0].email"),
        ([], "recipients"),
        ([BEA] * 21, "recipients"),
    ],
)
async def test_what_is_no_address_is_named(
    api: httpx.AsyncClient, bearer: Bearer, group: str, recipients: list[dict[str, str]], field: str
) -> None:
    problem = refused(await invite(api, bearer, group, *recipients), 400, "invalid")
    assert field in [error["field"] for error in problem["errors"]]
    assert (await mine(api, bearer, group))["items"] == []


async def test_a_link_of_the_message_stops_invitations_and_no_inviter_learns_it(
    api: httpx.AsyncClient, bearer: Bearer, shoppers: Shoppers, market: Market, group: str
) -> None:
    await invite(api, bearer, group, BEA)
    (text,) = await messages(api, "bea@example.com")
    found = STOP.search(text)
    assert found is not None
    page = await api.get(found[0])
    assert (page.status_code, "form" in page.text) == (200, True)
    other = placed(await shoppers.open(await market.deal(), "cem"))["group_id"]
    # Looking at the page does nothing yet.
    await invite(api, bearer, other, BEA, by="cem")
    assert len(await messages(api, "bea@example.com")) == 2

    for _ in range(2):
        done = await api.post(
            found[0],
            content="List-Unsubscribe=One-Click",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert done.status_code == 200, done.text

    order = placed(await shoppers.open(await market.deal(), "dan"))
    await market.authorise(order["id"])
    third = order["group_id"]
    assert await statuses(await invite(api, bearer, third, BEA, by="dan")) == ["queued"]
    (shown,) = (await mine(api, bearer, third, "dan"))["items"]
    assert shown["state"] == "sent"
    # What had not gone out yet was taken back.
    assert await messages(api, "bea@example.com") == []
    refused(await api.post(found[0].replace("/unsubscribe/", "/unsubscribe/x")), 404, "not_found")
    refused(await api.get("/v1/unsubscribe/nothing"), 404, "not_found")


async def test_one_recipient_is_not_invited_by_everybody_at_once(
    api: httpx.AsyncClient, bearer: Bearer, shoppers: Shoppers, market: Market
) -> None:
    for number in range(INVITES_PER_RECIPIENT.count + 1):
        group = placed(await shoppers.open(await market.deal(), f"ann-{number}"))["group_id"]
        assert await statuses(await invite(api, bearer, group, BEA, by=f"ann-{number}")) == ["queued"]
    assert len(await messages(api, "bea@example.com")) == INVITES_PER_RECIPIENT.count


async def test_one_inviter_cannot_invite_the_whole_town(
    api: httpx.AsyncClient, bearer: Bearer, group: str
) -> None:
    for page in range(2):
        many = [{"email": f"p{page}-{number}@example.com"} for number in range(20)]
        assert set(await statuses(await invite(api, bearer, group, *many))) == {"queued"}
    more = [{"email": f"more-{number}@example.com"} for number in range(20)]
    answer = await invite(api, bearer, group, *more)
    refused(answer, 429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 60
    assert (await mine(api, bearer, group))["counts"]["invited"] == 40


async def test_erasing_an_inviter_or_a_recipient_leaves_nothing_of_their_invitations(
    api: httpx.AsyncClient, bearer: Bearer, pool: asyncpg.Pool, group: str
) -> None:
    await invite(api, bearer, group, BEA, {"email": "cem@example.com"})
    bea = header_of(await sign_in(api, **BEA))
    assert (await api.delete("/v1/me", headers=bea)).status_code == 204
    (shown,) = (await mine(api, bearer, group))["items"]
    assert shown["recipient"] == "c…@example.com"
    export = await api.get("/v1/me/export", headers=bearer("buyer", "ann"))
    (sent,) = export.json()["invites"]
    assert (sent["group_id"], sent["recipient"], sent["opened_at"]) == (group, "c…@example.com", None)

    assert (await api.delete("/v1/me", headers=bearer("buyer", "ann"))).status_code == 204

    assert await pool.fetchval("SELECT count(*) FROM invites") == 0
    assert await messages(api, "cem@example.com") == []
