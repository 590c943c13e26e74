"""Whoever watches a group sees it change, whichever process changed it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.buying.live.hub import Pace
from tests.acceptance.buying.live.watching import watching
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market

pytestmark = pytest.mark.anyio

CROWD = 200


def timeless(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("server_time", "my_order")}


async def test_a_stream_begins_with_the_group_as_it_is(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, bearer: Bearer
) -> None:
    group = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
    plain = await api.get(f"/v1/groups/{group}")
    for headers in ({}, bearer("buyer", "ann"), {"Last-Event-ID": "whatever"}):
        async with watching(api, group, headers) as stream:
            event = await stream.next()
        assert event.name == "group"
        assert event.group["my_order"] is None
        assert timeless(event.group) == timeless(plain.json())
        assert event.group["server_time"] > plain.json()["server_time"]
        assert event.id in plain.headers["etag"]
        assert len(stream.retries_ms) == 1


async def test_a_join_in_another_process_is_seen(
    api: httpx.AsyncClient, another_api: httpx.AsyncClient, bearer: Bearer, market: Market
) -> None:
    here, there = Shoppers(api, bearer), Shoppers(another_api, bearer)
    group = placed(await here.open(await market.deal(), "ann"))["group_id"]
    async with watching(api, group) as ours, watching(another_api, group) as theirs:
        first = [await stream.group() for stream in (ours, theirs)]
        order = placed(await there.join_group(group, "bob"))
        for stream, before in zip((ours, theirs), first, strict=True):
            seen = await stream.group()
            assert (before["held"], seen["held"]) == (1, 2)
            assert seen["server_time"] > before["server_time"]
        await here.cancel(order["id"], "bob")
        for stream in (ours, theirs):
            assert (await stream.group())["held"] == 1
        assert len({event.id for event in ours.events}) == 2
        assert ours.events[0].id == ours.events[2].id


async def test_the_price_falls_live_when_a_worker_authorises(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, worker: ProcessJobs
) -> None:
    deal = await market.deal(min_headcount=1, max_headcount=5, ladder=((1, 950), (2, 900)))
    group = placed(await shoppers.open(deal, "ann"))["group_id"]
    placed(await shoppers.join_group(group, "bob"))
    async with watching(api, group) as stream:
        assert (await stream.group())["unit_price"]["amount"] == 950
        await worker.run("payments")
        cheaper = await stream.group(lambda seen: seen["headcount"] == 2)
    assert (cheaper["unit_price"]["amount"], cheaper["held"], cheaper["next_tier"]) == (900, 0, None)


async def test_an_unpaid_seat_that_a_worker_expires_is_seen(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, worker: ProcessJobs
) -> None:
    group = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
    async with watching(api, group) as stream:
        assert (await stream.group())["held"] == 1
        await market.pass_hold()
        await worker.run("expiry")
        assert (await stream.group())["held"] == 0


@pytest.mark.parametrize(("members", "outcome"), [(2, "succeeded"), (1, "failed")])
async def test_a_stream_ends_with_its_group_and_a_browser_is_told_not_to_come_back(
    members: int,
    outcome: str,
    api: httpx.AsyncClient,
    shoppers: Shoppers,
    market: Market,
    worker: ProcessJobs,
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=5)
    group = placed(await shoppers.open(deal, "buyer-0"))["group_id"]
    for number in range(1, members):
        placed(await shoppers.join_group(group, f"buyer-{number}"))
    await worker.run("payments")
    async with watching(api, group) as stream:
        await stream.group()
        await market.pass_deadline(group)
        await worker.run("lifecycle")
        await stream.group(lambda seen: seen["status"] in ("settling", outcome))
        await worker.run("payments")
        await market.pass_settling()
        await worker.run("lifecycle")
        await stream.ended()
    last = stream.events[-1]
    assert last.group["status"] == outcome
    assert (last.group["final_unit_price"] is not None) is (outcome == "succeeded")

    path = f"/v1/groups/{group}/events"
    again = await api.get(path, headers={"Last-Event-ID": last.id})
    assert (again.status_code, again.content) == (204, b"")
    asked = await api.get(path, params={"lastEventId": last.id})
    assert (asked.status_code, asked.content) == (204, b"")
    async with watching(api, group, {"Last-Event-ID": stream.events[0].id}) as late:
        assert [timeless(state) for state in await late.ended()] == [timeless(last.group)]


class TestManyJoinsAtOnce:
    @pytest.fixture
    def pace(self) -> Pace:
        """As in production, but for the sweep."""
        return Pace(sweep_s=3600.0)

    async def test_are_shown_together_and_the_last_state_is_right(
        self, api: httpx.AsyncClient, shoppers: Shoppers, market: Market
    ) -> None:
        deal = await market.deal(stock=1000, max_headcount=CROWD + 1)
        group = placed(await shoppers.open(deal, "leader"))["group_id"]
        async with watching(api, group) as stream:
            await stream.group()
            clock = asyncio.get_running_loop().time
            began_s = clock()
            calls = (shoppers.join_group(group, f"buyer-{n}") for n in range(CROWD))
            for response in await asyncio.gather(*calls):
                placed(response)
            await stream.group(lambda seen: seen["held"] == CROWD + 1)
            rounds_max = (clock() - began_s) / Pace().tick_s + 1
        held = [event.group["held"] for event in stream.events]
        assert held == sorted(set(held))
        assert len(held) - 1 <= rounds_max


class TestHeartbeats:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(tick_s=0.01, sweep_s=3600.0, heartbeat_s=0.05)

    async def test_come_while_nothing_changes(
        self, api: httpx.AsyncClient, shoppers: Shoppers, market: Market
    ) -> None:
        group = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
        async with watching(api, group) as stream:
            await stream.group()
            waiting = asyncio.create_task(stream.group())
            async with asyncio.timeout(20):
                while len(stream.comments) < 3:  # noqa: ASYNC110 - the reader sets no event
                    await asyncio.sleep(0.01)
            placed(await shoppers.join_group(group, "bob"))
            assert (await waiting)["held"] == 2
        assert set(stream.comments) == {"heartbeat"}


class TestLostSignals:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(tick_s=0.01, sweep_s=0.05, heartbeat_s=3600.0)

    async def test_are_made_up_for_by_the_sweep(
        self, api: httpx.AsyncClient, shoppers: Shoppers, market: Market
    ) -> None:
        order = placed(await shoppers.open(await market.deal(), "ann"))
        async with watching(api, order["group_id"]) as stream:
            assert (await stream.group())["headcount"] == 0
            # This tells nobody.
            await market.authorise(order["id"])
            assert (await stream.group())["headcount"] == 1
        assert len(stream.events) == 2


async def test_only_groups_that_exist_and_callers_who_are_who_they_say_are_served(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market
) -> None:
    group = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
    path = f"/v1/groups/{group}/events"
    for nowhere in ("grp_0", "%00", "x" * 300, "中", f"{group}%00"):
        refused(await api.get(f"/v1/groups/{nowhere}/events"), 404, "not_found")
    refused(await api.get(path, headers={"Authorization": "Bearer forged"}), 401, "unauthenticated")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = await api.request(method, path)
        refused(response, 405, "method_not_allowed")
        assert "GET" in response.headers["allow"]
    async with asyncio.timeout(10):
        assert (await api.head(path)).content == b""
