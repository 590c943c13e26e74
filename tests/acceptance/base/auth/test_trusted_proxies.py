"""A client that writes its own `X-Forwarded-For` has the address it has, unless a trusted proxy says so."""

from contextlib import AsyncExitStack

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import HOST
from tests.acceptance.shoppers import Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

CLIENTS = ("203.0.113.1", "203.0.113.2")
ONE_SUBSCRIBER = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2")


@pytest.fixture
def trusted_proxies() -> tuple[str, ...]:
    return ()


@pytest.fixture
def settings(settings: Settings, trusted_proxies: tuple[str, ...]) -> Settings:
    """One stream an address, which shows whose address a request counts for."""
    return msgspec.structs.replace(settings, streams_per_address=1, trusted_proxies=trusted_proxies)


@pytest.fixture
async def group(shoppers: Shoppers, market: Market) -> str:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    return str(order["group_id"])


async def streams_at_once(api: httpx.AsyncClient, group: str, addresses: tuple[str, ...]) -> list[int]:
    """The statuses of streams that are open together, one for each address forwarded."""
    async with AsyncExitStack() as stack:
        return [
            (
                await stack.enter_async_context(
                    api.stream("GET", f"/v1/groups/{group}/events", headers={"X-Forwarded-For": address})
                )
            ).status_code
            for address in addresses
        ]


async def test_without_trusted_proxies_the_header_says_nothing(api: httpx.AsyncClient, group: str) -> None:
    assert await streams_at_once(api, group, CLIENTS) == [200, 429]


@pytest.mark.parametrize("trusted_proxies", [("10.0.0.0/8",)])
async def test_from_somebody_else_than_the_proxy_it_says_nothing(api: httpx.AsyncClient, group: str) -> None:
    assert await streams_at_once(api, group, CLIENTS) == [200, 429]


@pytest.mark.parametrize("trusted_proxies", [(HOST,)])
async def test_from_a_trusted_proxy_it_names_the_client(api: httpx.AsyncClient, group: str) -> None:
    assert await streams_at_once(api, group, (*CLIENTS, CLIENTS[0])) == [200, 200, 429]


@pytest.mark.parametrize("trusted_proxies", [(HOST,)])
async def test_a_subscriber_has_many_addresses_and_one_limit(api: httpx.AsyncClient, group: str) -> None:
    assert await streams_at_once(api, group, ONE_SUBSCRIBER) == [200, 429]


@pytest.mark.parametrize("trusted_proxies", [(HOST,)])
async def test_what_the_client_wrote_before_the_proxy_says_nothing(
    api: httpx.AsyncClient, group: str
) -> None:
    forged = tuple(f"{address}, 203.0.113.9" for address in CLIENTS)

    assert await streams_at_once(api, group, forged) == [200, 429]
