"""The queue, whatever becomes of it, is nothing a shopper notices."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores import doorbells
from pintuan.base.stores.embedded import EmbeddedRedis
from tests.acceptance.conftest import SECRET_KEY
from tests.acceptance.shoppers import Shoppers, placed
from tests.market import Market
from tests.queue_troubles import TROUBLES, Trouble

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(
    database_url: str,
    redis_url: str,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """The queue has a server of its own, and is given up a little sooner than usual."""
    monkeypatch.setattr(doorbells, "SOCKET_TIMEOUT_S", 0.2)
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        queue_redis_url=own_redis.url,
        data_dir=tmp_path,
        secret_key=SECRET_KEY,
    )


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_orders_are_placed_and_cancelled_and_the_process_is_ready_without_a_queue(
    api: httpx.AsyncClient, shoppers: Shoppers, market: Market, own_redis: EmbeddedRedis, trouble: Trouble
) -> None:
    deal = await market.deal()
    placed(await shoppers.join(deal, "ann"))
    await trouble.begin(own_redis)
    try:
        order = placed(await shoppers.join(deal, "bob"))
        left = await shoppers.cancel(order["id"], "bob")
        assert (left.status_code, left.json()["status"]) == (200, "cancelled")
        assert (await api.get(f"/v1/groups/{order['group_id']}")).status_code == 200
        assert (await api.get("/health/ready")).status_code == 200
    finally:
        await trouble.end(own_redis)
    placed(await shoppers.join(deal, "cid"))
