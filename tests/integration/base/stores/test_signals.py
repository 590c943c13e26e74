"""Signals pass between processes in few messages, and come again after Redis was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from groups.cancellation import Cancellation
from groups.engine import open_engine
from groups.listeners import Listeners
from pintuan.base.settings.settings import Settings
from pintuan.base.stores import signals as signals_module
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.base.stores.signals import CHANNEL, PENDING_MAX, ChangeSignals, listen, open_signals
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio


@dataclass
class Heard:
    """What one listener was told."""

    messages: list[list[str]] = field(default_factory=list)
    connections: int = 0

    def connected(self) -> None:
        self.connections += 1

    def names(self, group_id: str) -> bool:
        return any(group_id in message for message in self.messages)


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[Heard]:
    heard = Heard()
    task = asyncio.create_task(
        listen(settings, on_changed=heard.messages.append, on_listening=heard.connected)
    )

    async def connected() -> bool:
        return heard.connections > 0

    try:
        await until(connected)
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def is_heard(heard: Heard, group_id: str) -> None:
    async def named() -> bool:
        return heard.names(group_id)

    await until(named)


async def test_every_process_hears_what_one_tells_and_few_messages_carry_it(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    names = [f"grp_{number}" for number in range(500)]
    async with listening(settings) as one, listening(settings) as other, open_signals(settings) as signals:
        for name in names:
            signals.tell([name, name])
        signals.tell([])
        await is_heard(one, names[-1])
        await is_heard(other, names[-1])
    for heard in (one, other):
        assert [set(message) for message in heard.messages] == [set(names)]
        assert len(heard.messages[0]) == len(names)


async def test_a_message_is_bounded(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    async with listening(settings) as heard, open_signals(settings) as signals:
        signals.tell(f"grp_{number}" for number in range(PENDING_MAX * 2))
        await is_heard(heard, "grp_0")
        signals.tell(["grp_last"])
        await is_heard(heard, "grp_last")
    assert len(heard.messages[0]) == PENDING_MAX


async def test_signals_are_heard_again_when_redis_is_back(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "LISTEN_AGAIN_S", 0.01)
    settings = Settings(redis_url=own_redis.url)
    async with listening(settings) as heard, open_signals(settings) as signals:
        signals.tell(["grp_1"])
        await is_heard(heard, "grp_1")
        await own_redis.kill()
        signals.tell(["grp_2"])
        before = heard.connections
        await own_redis.start()
        await own_redis.wait_ready()

        async def again() -> bool:
            return heard.connections > before

        await until(again)

        async def told() -> bool:
            signals.tell(["grp_3"])
            return heard.names("grp_3")

        await until(told)


async def test_telling_never_waits_and_never_raises_without_redis() -> None:
    async with open_signals(Settings(redis_url="redis://127.0.0.1:1/0")) as signals:
        for _ in range(100):
            signals.tell(["grp_1"])
            await asyncio.sleep(0)


async def test_nothing_is_published_that_nobody_told() -> None:
    published: list[str] = []

    class Queue:
        async def publish(self, channel: str, message: str) -> None:
            assert channel == CHANNEL
            published.append(message)

    signals = ChangeSignals(Queue())  # type: ignore[arg-type]  # It publishes, and nothing else is asked of it.
    carrier = asyncio.create_task(signals.carry())
    signals.tell([])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    signals.tell(["grp_1"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    carrier.cancel()
    assert published == ["grp_1"]


async def test_the_engine_tells_of_joins_cancels_expiries_and_endings(market: Market, redis_url: str) -> None:
    told: list[str] = []
    listeners = Listeners(on_changed=told.extend)
    async with open_engine(market.pool, redis_url, rates=None, listeners=listeners) as engine:
        deal = await market.deal(min_headcount=2, max_headcount=3)
        solo = await engine.place(market.wish("sol", deal=deal, verb="solo"))
        assert told == []
        placed = await engine.place(market.wish("ann", deal=deal, verb="open"))
        group = await market.group_of(placed.order_id)
        assert told == [group]

        await engine.cancel(Cancellation(placed.order_id, "ann", b"0" * 16, b"1" * 16))
        await engine.cancel(Cancellation(solo.order_id, "sol", b"2" * 16, b"3" * 16))
        assert told == [group] * 2
        await engine.place(market.wish("bob", group=group))
        await market.pass_hold()
        await engine.expire_unpaid(10)
        assert told == [group] * 4
        await market.pass_deadline(group)
        await engine.advance_due_groups(10)
        assert told == [group] * 5
        await engine.advance_due_groups(10)
        assert set(told) == {group}
