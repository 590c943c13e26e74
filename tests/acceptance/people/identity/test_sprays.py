"""Codes are guessed over many contacts and from many networks at once, where no one contact shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from pintuan.base.limits import Limit
from pintuan.people.identity import limits
from pintuan.people.identity.codes import ATTEMPTS_PER_CODE_MAX
from tests.acceptance.conftest import serving
from tests.acceptance.shoppers import refused
from tests.acceptance.signing_in import read_code, tokens_of, wrong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.settings.settings import Settings
    from tests.acceptance.contract.documented import Contract

pytestmark = pytest.mark.anyio

HOME = "198.51.100.7"
IN_ALL = 6
CONTACTS = 5


@pytest.fixture
async def api(
    settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """An API behind a proxy that tells where callers are, which few wrong answers in all put on its guard."""
    few = Limit("wrong answers in all", IN_ALL, 600_000, limits.WRONG_ANSWERS_IN_ALL.refusal)
    monkeypatch.setattr(limits, "WRONG_ANSWERS_IN_ALL", few)
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


async def spray(api: httpx.AsyncClient) -> None:
    """Guesses, from a network of its own for each contact, until enough were wrong in all."""
    for number in range(CONTACTS):
        address, email = f"192.0.2.{number}", f"nobody-{number}@example.com"
        code = await code_for(api, address, email)
        for _ in range(2):
            await tell(api, address, email, wrong(code))


async def test_a_spray_leaves_each_network_with_the_codes_it_asked_for_and_one_answer(
    api: httpx.AsyncClient,
) -> None:
    await spray(api)
    code = await code_for(api, HOME, "ann@example.com")
    elsewhere = await tell(api, "203.0.113.9", "ann@example.com", code)
    refused(elsewhere, 429, "rate_limited")
    assert "ask for a new one" in elsewhere.json()["detail"]
    tokens_of(await tell(api, HOME, "ann@example.com", code))

    stranger, email = "192.0.2.200", "ben@example.com"
    code = await code_for(api, stranger, email)
    refused(await tell(api, stranger, email, wrong(code)), 401, "unauthenticated")
    refused(await tell(api, stranger, email, code), 401, "unauthenticated")
    tokens_of(await tell(api, stranger, email, await code_for(api, stranger, email)))


async def test_who_signed_in_from_there_before_has_all_answers_beside_a_spray(api: httpx.AsyncClient) -> None:
    tokens_of(await tell(api, HOME, "ann@example.com", await code_for(api, HOME, "ann@example.com")))
    await spray(api)
    code = await code_for(api, HOME, "ann@example.com")
    for _ in range(ATTEMPTS_PER_CODE_MAX - 1):
        refused(await tell(api, HOME, "ann@example.com", wrong(code)), 401, "unauthenticated")
    tokens_of(await tell(api, HOME, "ann@example.com", code))


async def test_answers_of_those_who_asked_for_none_count_in_all_too(api: httpx.AsyncClient) -> None:
    code = await code_for(api, HOME, "ann@example.com")
    for number in range(2):
        for _ in range(IN_ALL // 2):
            await tell(api, f"192.0.2.{number}", "ann@example.com", wrong(code))
        code = await code_for(api, HOME, "ann@example.com")
    refused(await tell(api, "203.0.113.9", "ann@example.com", code), 429, "rate_limited")


async def test_the_networks_of_a_48_share_a_bound_of_codes(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Limit("codes of wide network", CONTACTS, 3_600_000, "Too many codes of this network.")
    monkeypatch.setattr(limits, "CODES_PER_WIDE_NETWORK", few)
    for number in range(CONTACTS):
        await code_for(api, f"2001:db8:1:{number:x}::1", f"nobody-{number}@example.com")
    refused(await ask(api, "2001:db8:1:ffff::1", "ann@example.com"), 429, "rate_limited")
    await code_for(api, "2001:db8:2::1", "ann@example.com")
    await code_for(api, HOME, "ben@example.com")
