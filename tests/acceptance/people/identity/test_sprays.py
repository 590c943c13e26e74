"""Codes are guessed over many contacts and from many networks at once, where no one contact shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from pintuan.people.identity import limits
from pintuan.people.identity.codes import ATTEMPTS_PER_CODE_MAX
from tests.acceptance.conftest import serving
from tests.acceptance.shoppers import refused
from tests.acceptance.signing_in import read_code, tokens_of, wrong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.limits import Limit
    from pintuan.base.settings.settings import Settings
    from tests.acceptance.contract.documented import Contract

pytestmark = pytest.mark.anyio

HOME = "198.51.100.7"
MOBILE = "203.0.113.9"
IN_ALL = 6
NETWORKS = 5


def few_of(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    """Makes a limit so small that a test can reach it."""
    limit: Limit = getattr(limits, name)
    monkeypatch.setattr(limits, name, msgspec.structs.replace(limit, count=count))


@pytest.fixture
async def api(
    settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """An API behind a proxy that tells where callers are, which few wrong answers in all put on its guard."""
    few_of(monkeypatch, "WRONG_ANSWERS_IN_ALL", IN_ALL)
    few_of(monkeypatch, "WRONG_ANSWERS_TOWARDS_ALL", 2)
    async with serving(msgspec.structs.replace(settings, trusted_proxies=("127.0.0.1",)), contract) as client:
        yield client


async def ask(api: httpx.AsyncClient, address: str, email: str) -> httpx.Response:
    return await api.post("/v1/auth/otp", json={"email": email}, headers={"X-Forwarded-For": address})


async def code_for(api: httpx.AsyncClient, address: str, email: str) -> str:
    asked = await ask(api, address, email)
    assert asked.status_code == httpx.codes.ACCEPTED, asked.text
    return await read_code(api, email)


async def tell(api: httpx.AsyncClient, address: str, email: str, code: str) -> httpx.Response:
    body = {"grant_type": "otp", "email": email, "code": code}
    return await api.post("/v1/auth/token", json=body, headers={"X-Forwarded-For": address})


async def spray(api: httpx.AsyncClient, networks: int = NETWORKS) -> None:
    """Guesses from so many networks, each a neighbourhood of its own and with a contact of its own."""
    for number in range(networks):
        address, email = f"198.18.{number}.1", f"nobody-{number}@example.com"
        code = await code_for(api, address, email)
        for _ in range(2):
            await tell(api, address, email, wrong(code))


def refused_for_now(response: httpx.Response) -> None:
    """A code takes no more answers: what helps is said, and when it would take one."""
    refused(response, 429, "rate_limited")
    assert "ask for a new one" in response.json()["detail"]
    assert 0 < int(response.headers["Retry-After"]) <= 600


async def test_a_spray_leaves_each_code_two_answers_of_the_network_that_asked_for_it(
    api: httpx.AsyncClient,
) -> None:
    await spray(api)
    stranger, email = "192.0.2.200", "ben@example.com"
    code = await code_for(api, stranger, email)
    for _ in range(limits.ANSWERS_UNDER_SPRAY_MAX):
        refused(await tell(api, stranger, email, wrong(code)), 401, "unauthenticated")
    refused_for_now(await tell(api, stranger, email, code))
    code = await code_for(api, stranger, email)
    refused(await tell(api, stranger, email, wrong(code)), 401, "unauthenticated")
    tokens_of(await tell(api, stranger, email, code))


async def test_a_spray_leaves_each_code_two_answers_of_all_other_networks(api: httpx.AsyncClient) -> None:
    await spray(api)
    code = await code_for(api, HOME, "ann@example.com")
    for number in range(limits.ANSWERS_UNDER_SPRAY_MAX):
        guessed = await tell(api, f"192.0.2.{number}", "ann@example.com", wrong(code))
        refused(guessed, 401, "unauthenticated")
    refused_for_now(await tell(api, "192.0.2.9", "ann@example.com", wrong(code)))
    refused_for_now(await tell(api, MOBILE, "ann@example.com", code))
    tokens_of(await tell(api, HOME, "ann@example.com", code))


async def test_who_leaves_the_house_signs_in_beside_a_spray(api: httpx.AsyncClient) -> None:
    await spray(api)
    code = await code_for(api, HOME, "ann@example.com")
    refused(await tell(api, MOBILE, "ann@example.com", wrong(code)), 401, "unauthenticated")
    tokens_of(await tell(api, MOBILE, "ann@example.com", code))

    code = await code_for(api, "2001:db8:1:2::1", "ben@example.com")
    for _ in range(limits.ANSWERS_UNDER_SPRAY_MAX):
        refused(await tell(api, MOBILE, "ben@example.com", wrong(code)), 401, "unauthenticated")
    refused_for_now(await tell(api, MOBILE, "ben@example.com", code))
    tokens_of(await tell(api, MOBILE, "ben@example.com", await code_for(api, MOBILE, "ben@example.com")))


async def test_who_signed_in_from_there_before_has_all_answers_beside_a_spray(api: httpx.AsyncClient) -> None:
    tokens_of(await tell(api, HOME, "ann@example.com", await code_for(api, HOME, "ann@example.com")))
    await spray(api)
    code = await code_for(api, HOME, "ann@example.com")
    for _ in range(ATTEMPTS_PER_CODE_MAX - 1):
        refused(await tell(api, HOME, "ann@example.com", wrong(code)), 401, "unauthenticated")
    tokens_of(await tell(api, HOME, "ann@example.com", code))


async def test_answers_of_those_who_asked_for_none_count_in_all_too(api: httpx.AsyncClient) -> None:
    for number in range(IN_ALL // 2):
        code = await code_for(api, HOME, "ann@example.com")
        for _ in range(2):
            await tell(api, f"198.18.{number}.1", "ann@example.com", wrong(code))
    code = await code_for(api, HOME, "ben@example.com")
    for _ in range(limits.ANSWERS_UNDER_SPRAY_MAX):
        await tell(api, MOBILE, "ben@example.com", wrong(code))
    refused_for_now(await tell(api, MOBILE, "ben@example.com", code))


@pytest.mark.parametrize("addresses", ["192.0.2.{}", "2001:db8:1:{}::1"])
async def test_one_neighbourhood_puts_itself_on_guard_and_nobody_else(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, addresses: str
) -> None:
    few_of(monkeypatch, "WRONG_ANSWERS_PER_NEIGHBOURHOOD", 2 * IN_ALL)
    # Typos of two honest networks are in it, too.
    few_of(monkeypatch, "WRONG_ANSWERS_IN_ALL", IN_ALL + 2)
    for number in range(4):
        address, email = addresses.format(number), f"nobody-{number}@example.com"
        code = await code_for(api, address, email)
        for _ in range(ATTEMPTS_PER_CODE_MAX):
            await tell(api, address, email, wrong(code))

    code = await code_for(api, HOME, "ann@example.com")
    for _ in range(ATTEMPTS_PER_CODE_MAX - 1):
        refused(await tell(api, HOME, "ann@example.com", wrong(code)), 401, "unauthenticated")
        refused(await tell(api, MOBILE, "ann@example.com", wrong(code)), 401, "unauthenticated")
    tokens_of(await tell(api, MOBILE, "ann@example.com", code))

    neighbour = addresses.format(9)
    code = await code_for(api, neighbour, "ben@example.com")
    for _ in range(limits.ANSWERS_UNDER_SPRAY_MAX):
        refused(await tell(api, neighbour, "ben@example.com", wrong(code)), 401, "unauthenticated")
    refused_for_now(await tell(api, neighbour, "ben@example.com", code))
    tokens_of(
        await tell(api, neighbour, "ben@example.com", await code_for(api, neighbour, "ben@example.com"))
    )


def test_it_takes_hundreds_of_neighbourhoods_to_put_everybody_on_guard() -> None:
    networks = limits.WRONG_ANSWERS_IN_ALL.count // limits.WRONG_ANSWERS_TOWARDS_ALL.count
    assert networks == 200
    assert limits.WRONG_ANSWERS_TOWARDS_ALL.window_ms == limits.WRONG_ANSWERS_IN_ALL.window_ms


async def test_the_networks_of_a_48_share_a_bound_of_codes(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_of(monkeypatch, "CODES_PER_WIDE_NETWORK", NETWORKS)
    for number in range(NETWORKS):
        await code_for(api, f"2001:db8:1:{number:x}::1", f"nobody-{number}@example.com")
    refused(await ask(api, "2001:db8:1:ffff::1", "ann@example.com"), 429, "rate_limited")
    await code_for(api, "2001:db8:2::1", "ann@example.com")
    await code_for(api, HOME, "ben@example.com")
