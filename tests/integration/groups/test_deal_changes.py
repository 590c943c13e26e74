"""What a merchant changes reaches every process, although refusals never reach Postgres."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.errors import DealNotActive, SoldOut
from groups.rebuild import Rebuilder
from tests.integration.groups.conftest import Sound
from tests.interleaving import LaneMemory
from tests.market import Market

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals are checked each time, so that no test depends on how much time has passed."""
    monkeypatch.setattr("groups.combiner.REFUSALS_CHECKED_EVERY_S", 0.0)


async def test_a_paused_deal_refuses_joins_everywhere_and_resumes_everywhere(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal()
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await another_engine.place(market.wish("bob", deal=deal))
    await market.change_deal(deal, status="paused")
    for n, one in enumerate((engine, another_engine)):
        for wish in (
            market.wish(f"buyer-{n}", deal=deal),
            market.wish(f"buyer-{n}", group=group),
            market.wish(f"buyer-{n}", deal=deal, verb="solo"),
        ):
            with pytest.raises(DealNotActive):
                await one.place(wish)
    await market.change_deal(deal, status="active")
    for n, one in enumerate((another_engine, engine)):
        assert (
            await market.group_of((await one.place(market.wish(f"buyer-{n}", deal=deal))).order_id) == group
        )
    await sound()


async def test_a_pause_stops_no_clock(engine: GroupEngine, market: Market) -> None:
    deal = await market.deal(min_headcount=1, ladder=((1, 900),))
    placed = await engine.place(market.wish("ann", deal=deal))
    await market.authorise(placed.order_id)
    group = await market.group_of(placed.order_id)
    await market.change_deal(deal, status="paused")
    await market.pass_deadline(group)
    assert await engine.advance_due_groups(10) == 1
    assert (await market.group(group))["final_headcount"] == 1


async def test_an_ended_deal_lets_open_groups_run_on_and_opens_no_new_ones(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(max_headcount=3, ladder=((2, 900),))
    group = await market.group_of((await engine.place(market.wish("ann", deal=deal))).order_id)
    await market.change_deal(deal, status="ended")
    for verb in ("open", "solo"):
        with pytest.raises(DealNotActive):
            await another_engine.place(market.wish("bob", deal=deal, verb=verb))
    await another_engine.place(market.wish("bob", group=group))
    assert await market.group_of((await engine.place(market.wish("cid", deal=deal))).order_id) == group
    # The group is full now, and auto-placement would need another.
    with pytest.raises(DealNotActive):
        await engine.place(market.wish("dan", deal=deal))
    await sound()


async def test_added_stock_is_sold_by_every_process(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, sound: Sound
) -> None:
    deal = await market.deal(stock=1)
    await engine.place(market.wish("ann", deal=deal))
    for one in (engine, another_engine):
        with pytest.raises(SoldOut):
            await one.place(market.wish("bob", deal=deal))
    await market.change_deal(deal, added_stock=2)
    await another_engine.place(market.wish("bob", deal=deal))
    await engine.place(market.wish("cid", deal=deal))
    with pytest.raises(SoldOut):
        await engine.place(market.wish("dan", deal=deal))
    await sound()


async def test_a_change_told_to_one_process_reaches_the_others_through_redis(
    engine: GroupEngine, another_engine: GroupEngine, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await market.deal(stock=1)
    await engine.place(market.wish("ann", deal=deal))
    with pytest.raises(SoldOut):
        await another_engine.place(market.wish("bob", deal=deal))
    # Nobody looks for changes by himself in this test.
    monkeypatch.setattr("groups.combiner._LIFTED_BY_MERCHANTS", frozenset())
    await market.change_deal(deal, added_stock=1)
    await engine.deal_changed(deal)
    assert not (await another_engine.place(market.wish("bob", deal=deal))).replayed


async def test_refusals_are_checked_at_a_bounded_rate(
    engine: GroupEngine, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    epoch_of: Callable[..., Awaitable[int]] = Rebuilder.epoch_of

    async def counted(rebuilder: Rebuilder, *arguments: object) -> int:
        asked.append(arguments)
        return await epoch_of(rebuilder, *arguments)

    deal = await market.deal(stock=1)
    await engine.place(market.wish("ann", deal=deal))
    monkeypatch.setattr("groups.combiner.REFUSALS_CHECKED_EVERY_S", 3600.0)
    monkeypatch.setattr(Rebuilder, "epoch_of", counted)
    for n in range(20):
        with pytest.raises(SoldOut):
            await engine.place(market.wish(f"buyer-{n}", deal=deal))
    assert len(asked) == 1


async def test_a_group_cannot_open_outside_the_deals_window_whatever_redis_thinks_of_the_time(
    engine: GroupEngine, market: Market, redis: Redis, sound: Sound
) -> None:
    deal = await market.deal()
    await engine.place(market.wish("ann", deal=deal, verb="solo"))
    await market.pool.execute(
        "UPDATE deals SET ends_at = app_now(), starts_at = app_now() - interval '1 day'"
    )
    for verb in ("best", "open", "solo"):
        with pytest.raises(DealNotActive):
            await engine.place(market.wish("bob", deal=deal, verb=verb))
    memory = LaneMemory.of(redis, deal)
    assert len(await memory.seats()) == 1
    assert await memory.groups() == {}
    await sound()
