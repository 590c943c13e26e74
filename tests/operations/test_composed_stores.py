"""The stores of compose.yaml, started with its own options, are what `pintuan up` demands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.durability import check_durability
from pintuan.base.stores.embedded import EmbeddedPostgres
from pintuan.base.stores.embedded.redis import server_binary
from tests.conftest import running
from tests.operations.composition import SECRETS, services
from tests.waiting import until

pytestmark = pytest.mark.anyio

STOP_S_MAX = 10.0


async def test_they_start_with_their_options_and_are_durable(own_directory: Path) -> None:
    words = [word.removeprefix("-c").partition("=") for word in services()["postgres"]["command"][1:]]
    options = {name: value for name, _, value in words}
    postgres = EmbeddedPostgres(own_directory / "postgres", settings=options)
    socket = own_directory / "redis.sock"
    redis = await asyncio.create_subprocess_exec(
        server_binary(),
        *services()["redis"]["command"][1:],
        *("--port", "0", "--unixsocket", str(socket), "--dir", str(own_directory)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with running(postgres):
            url = f"unix://:{SECRETS['REDIS_PASSWORD']}@{socket}?db=0"
            await until(lambda: answers(url))
            await check_durability(Settings(database_url=postgres.url, redis_url=url))
            with pytest.raises(RedisError, match="Authentication required"):
                await ping(f"unix://{socket}?db=0")
    finally:
        redis.terminate()
        await asyncio.wait_for(redis.wait(), STOP_S_MAX)


async def ping(url: str) -> None:
    async with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
        await client.ping()


async def answers(url: str) -> bool:
    try:
        await ping(url)
    except RedisError:
        return False
    return True
