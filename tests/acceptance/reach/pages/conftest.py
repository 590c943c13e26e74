"""Fixtures of pages.

browser, another_browser
                two people's browsers on the same API, without JavaScript
opened          opens a group of a deal, and returns its share code and its first order
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.reach.pages.browsing import Browser
from tests.acceptance.shoppers import Shoppers, placed
from tests.marketplace import PLAIN_HTTP

Opened = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def browser(api: httpx.AsyncClient) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(base_url=api.base_url, verify=PLAIN_HTTP) as client:
        yield Browser(client)


@pytest.fixture
async def another_browser(api: httpx.AsyncClient, contract: Contract) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(
        base_url=api.base_url, verify=PLAIN_HTTP, event_hooks={"response": [contract.check]}
    ) as client:
        yield Browser(client)


@pytest.fixture
def opened(shoppers: Shoppers) -> Opened:
    async def opened(deal: str, leader: str = "leader") -> dict[str, Any]:
        order = placed(await shoppers.open(deal, leader))
        group: dict[str, Any] = order["group"]
        return group | {"order_id": order["id"]}

    return opened


@pytest.fixture
async def stripe_api(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose gateway takes cards; an API process never calls it."""
    with_stripe = msgspec.structs.replace(settings, payment_gateway="stripe", stripe_secret_key="sk_test_x")
    async with serving(with_stripe, contract) as client:
        yield client


@pytest.fixture
async def production_api(settings: Settings, contract: Contract) -> AsyncIterator[httpx.AsyncClient]:
    """An API of a deployment."""
    async with serving(
        msgspec.structs.replace(settings, env="production", public_url="https://shop.example"), contract
    ) as client:
        yield client
