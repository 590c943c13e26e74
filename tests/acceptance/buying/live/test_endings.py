"""Streams are bounded, end when their process does, and leave nothing behind."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import httpx
import msgspec
import pytest
from litestar import Litestar

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.buying.live import admission
from pintuan.buying.live import stream as stream_module
from pintuan.buying.live.hub import Pace
from pintuan.buying.live.metrics import EVENT_STREAMS, EVENT_STREAMS_DROPPED
from pintuan.buying.live.state import Live
from tests.acceptance.buying.live.watching import watching
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.market import Market
from tests.waiting import until

pytestmark = pytest.mark.anyio


def live_of(app: Litestar) -> Live:
    live: Live = app.state.resources.state(Live)
    return live


def is_idle(app: Litestar) -> bool:
    live = live_of(app)
    return (live.hub.group_count, live.admission.stream_count) == (0, 0) and not any(live.hub._beats)


async def is_idle_soon(app: Litestar) -> None:
    async def idle() -> bool:
        return is_idle(app)

    await until(idle)


def dropped(reason: str) -> float:
    value: float = EVENT_STREAMS_DROPPED.labels(reason)._value.get()
    return value


@pytest.fixture
async def group(watched_api: httpx.AsyncClient, bearer: Bearer, market: Market) -> str:
    shoppers = Shoppers(watched_api, bearer)
    order = placed(await shoppers.open(await market.deal(), "ann"))
    group_id: str = order["group_id"]
    return group_id


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, streams_per_address=4)

    async def test_of_an_address_and_a_caller_are_refused_and_places_given_back(
        self,
        watched_api: httpx.AsyncClient,
        app: Litestar,
        group: str,
        bearer: Bearer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(admission, "STREAMS_PER_CALLER_MAX", 2)
        path, ann = f"/v1/groups/{group}/events", bearer("buyer", "ann")
        before = EVENT_STREAMS._value.get()
        async with AsyncExitStack() as streams:
            # A stream that nothing refers to is closed by its client.
            opened = [
                await streams.enter_async_context(watching(watched_api, group, headers))
                for headers in (ann, ann, {})
            ]
            for stream in opened:
                await stream.next()
            assert EVENT_STREAMS._value.get() == before + 3
            response = await watched_api.get(path, headers=ann)
            refused(response, 429, "rate_limited")
            assert int(response.headers["retry-after"]) >= 1
            opened.append(
                await streams.enter_async_context(watching(watched_api, group, bearer("buyer", "bob")))
            )
            response = await watched_api.get(path)
            refused(response, 429, "rate_limited")
            monkeypatch.setattr(live_of(app).admission, "_streams_max", 4)
            response = await watched_api.get(path)
            refused(response, 503, "overloaded")
            assert int(response.headers["retry-after"]) >= 1
        await is_idle_soon(app)
        assert EVENT_STREAMS._value.get() == before
        async with watching(watched_api, group, ann) as stream:
            await stream.next()


async def test_a_reader_who_leaves_leaves_nothing_behind(
    watched_api: httpx.AsyncClient, app: Litestar, group: str
) -> None:
    assert is_idle(app)
    tasks = len(asyncio.all_tasks())
    async with watching(watched_api, group) as one, watching(watched_api, group) as two:
        await one.next()
        await two.next()
        assert (live_of(app).hub.group_count, live_of(app).admission.stream_count) == (1, 2)
    await is_idle_soon(app)

    async def as_before() -> bool:
        return len(asyncio.all_tasks()) <= tasks

    await until(as_before)


async def test_streams_end_at_once_when_the_process_drains(
    watched_api: httpx.AsyncClient, app: Litestar, group: str
) -> None:
    before = dropped("drained")
    async with watching(watched_api, group) as stream, watching(watched_api, group) as other:
        await stream.next()
        await other.next()
        app.state.draining.begin()
        assert await stream.ended() == []
        assert await other.ended() == []
        for ended in (stream, other):
            assert all(retry_ms > 0 for retry_ms in ended.retries_ms)
            assert len(ended.retries_ms) == 2
    # A browser gives up on a refusal, so whoever comes now is served and sent on.
    async with watching(watched_api, group) as late:
        assert len(await late.ended()) == 1
    await is_idle_soon(app)
    assert dropped("drained") == before + 3


async def test_a_reader_who_does_not_read_is_dropped_and_finds_the_latest_state_when_it_comes_back(
    watched_api: httpx.AsyncClient,
    app: Litestar,
    group: str,
    bearer: Bearer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "SEND_DEADLINE_S", 0.2)
    monkeypatch.setattr(stream_module, "LINGER_S", 0.2)
    before = dropped("slow")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((watched_api.base_url.host, watched_api.base_url.port))
        reader.sendall(f"GET /v1/groups/{group}/events HTTP/1.1\r\nHost: shop\r\n\r\n".encode())

        async def watches() -> bool:
            return live_of(app).hub.group_count == 1

        await until(watches)
        (stream,) = live_of(app).hub._watched[group]
        padding = b": " + b"x" * 65_536 + b"\n\n"

        async def is_dropped() -> bool:
            # What fills the buffers between here and the reader, as many states would.
            stream._offer(padding)
            return is_idle(app)

        await until(is_dropped)
    assert dropped("slow") == before + 1
    placed(await Shoppers(watched_api, bearer).join_group(group, "bob"))
    async with watching(watched_api, group) as again:
        assert (await again.group())["held"] == 2


class TestRedisGone:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(tick_s=0.02, sweep_s=0.1, heartbeat_s=3600.0)

    @pytest.fixture
    def settings(self, settings: Settings, own_redis: EmbeddedRedis) -> Settings:
        """Signals have a Redis of their own, so that joins go on without it."""
        return msgspec.structs.replace(settings, queue_redis_url=own_redis.url)

    async def test_streams_go_on_without_signals(
        self, watched_api: httpx.AsyncClient, group: str, bearer: Bearer, own_redis: EmbeddedRedis
    ) -> None:
        shoppers = Shoppers(watched_api, bearer)
        async with watching(watched_api, group) as stream:
            await stream.group()
            await own_redis.kill()
            placed(await shoppers.join_group(group, "bob"))
            assert (await stream.group())["held"] == 2
            async with watching(watched_api, group) as newcomer:
                assert (await newcomer.group())["held"] == 2
            await own_redis.start()
            await own_redis.wait_ready()
            placed(await shoppers.join_group(group, "cid"))
            assert (await stream.group())["held"] == 3
