"""Whatever is under way, a join finds the connection it needs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from pintuan.app import create_app
from pintuan.base.process import Resources
from pintuan.base.stores.shares import Share
from pintuan.http.fair_share.limits import CONNECTIONS, CONNECTIONS_PER_API_PROCESS
from tests.acceptance.conftest import serving_app
from tests.acceptance.shoppers import Shoppers, placed
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pintuan.base.settings.settings import Settings
    from tests.acceptance.contract.documented import Contract
    from tests.acceptance.shoppers import Bearer
    from tests.market import Market

pytestmark = pytest.mark.anyio

CROWD = 64
# Nobody who waits for these calls may be answered before the test lets them.
PATIENCE_S = 20.0
WAITING_FOR_LOCKS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


async def test_a_join_is_recorded_while_every_other_connection_is_held(
    settings: Settings, contract: Contract, bearer: Bearer, market: Market
) -> None:
    app = create_app(settings)
    async with serving_app(app, contract) as api, AsyncExitStack() as held:
        shoppers, deal = Shoppers(api, bearer), await market.deal()
        # The lane is ready, as nearly every join finds it.
        placed(await shoppers.join(deal, "first"))
        resources: Resources = app.state.resources
        for share, count in CONNECTIONS.items():
            if share is not Share.RECORDING:
                for _ in range(count):
                    await held.enter_async_context(resources.pools[share].acquire())

        placed(await shoppers.join(deal, "ann"))


async def test_joins_are_recorded_while_a_crowd_of_each_other_kind_waits_for_postgres(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, pool: asyncpg.Pool
) -> None:
    deal = await market.deal()
    group = placed(await shoppers.open(deal, "first"))["group_id"]
    code = {"grant_type": "otp", "email": "ann@example.com", "code": "000000"}
    key = {"Authorization": f"Bearer ptk_{'0' * 32}_{'0' * 64}"}
    others = httpx.AsyncClient(
        base_url=api.base_url, timeout=PATIENCE_S, limits=httpx.Limits(max_connections=None)
    )
    calls: list[Callable[[], Awaitable[httpx.Response]]] = [
        lambda: others.get("/v1/products", params={"q": "tea"}),
        lambda: others.get("/v1/products"),
        lambda: others.get("/v1/orders", headers=key),
        lambda: others.post("/v1/auth/token", json=code),
    ]
    async with others, pool.acquire() as connection, AsyncExitStack() as stack:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE products, product_search, sign_in_codes, api_keys")
        tasks = [asyncio.ensure_future(call()) for call in calls for _ in range(CROWD)]
        stack.push_async_callback(asyncio.wait, tasks)

        async def somebody_waits() -> bool:
            return bool(await pool.fetchval(WAITING_FOR_LOCKS))

        await until(somebody_waits)
        for number in range(8):
            placed(await shoppers.join_group(group, f"buyer-{number}"))
        await transaction.rollback()


async def test_a_process_opens_no_more_connections_than_are_documented(
    settings: Settings, contract: Contract, pool: asyncpg.Pool
) -> None:
    app = create_app(settings)
    async with serving_app(app, contract), AsyncExitStack() as held:
        resources: Resources = app.state.resources
        for share, count in CONNECTIONS.items():
            for _ in range(count):
                await held.enter_async_context(resources.pools[share].acquire())
            with pytest.raises(TimeoutError):
                await resources.pools[share].acquire(timeout=0.01)
        opened = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'pintuan-api' AND datname = current_database()"
        )
        assert opened == CONNECTIONS_PER_API_PROCESS
