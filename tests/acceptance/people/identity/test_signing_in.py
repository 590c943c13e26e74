"""Signing in by a code: who gets in, who does not, and how often one may try."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import httpx
import jwt
import msgspec
import pytest
from prometheus_client import REGISTRY

from pintuan.base.settings.settings import Settings
from pintuan.people.contacts.contacts import Contact
from pintuan.selling.rights.service import grant
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import refused
from tests.acceptance.signing_in import (
    ask_for_code,
    header_of,
    read_code,
    refresh,
    sign_in,
    tell_code,
    tokens_of,
    wrong,
)

pytestmark = pytest.mark.anyio

ANN = "ann@example.com"


def subject_of(tokens: dict[str, str]) -> str:
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    subject: str = claims["sub"]
    return subject


@pytest.mark.parametrize("contact", [{"email": ANN}, {"phone": "+12025550123"}], ids=str)
async def test_a_code_sent_to_a_contact_signs_in(api: httpx.AsyncClient, contact: dict[str, str]) -> None:
    tokens = await sign_in(api, **contact)

    assert subject_of(tokens).startswith("usr_")
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert tokens["refresh_expires_in"] == 30 * 24 * 3600
    again = await sign_in(api, **contact)
    assert subject_of(again) == subject_of(tokens)


async def test_a_code_has_a_place_among_what_somebody_waits_for(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await ask_for_code(api, email=ANN)
    rows = await pool.fetch("SELECT kind, awaited, sender FROM notifications")
    assert [tuple(row) for row in rows] == [("sign_in_code", True, "")]


async def test_codes_asked_for_and_answers_to_them_are_counted_by_outcome(api: httpx.AsyncClient) -> None:
    def counted() -> Counter[str]:
        outcomes = ("asked", "right", "wrong", "refused")
        name = "pintuan_sign_in_codes_total"
        return Counter({one: int(REGISTRY.get_sample_value(name, {"outcome": one}) or 0) for one in outcomes})

    before = counted()
    code = await ask_for_code(api, email=ANN)
    refused(await tell_code(api, wrong(code), email=ANN), 401, "unauthenticated")
    refused(await tell_code(api, code, email="bea@example.com"), 401, "unauthenticated")
    tokens_of(await tell_code(api, code, email=ANN))
    asked = [(await api.post("/v1/auth/otp", json={"email": ANN})).status_code for _ in range(6)]

    gained = counted() - before
    assert (gained["right"], gained["wrong"]) == (1, 2)
    assert (gained["asked"], gained["refused"]) == (1 + asked.count(202), asked.count(429))
    assert asked[-1] == 429


async def test_a_code_comes_in_the_language_of_whoever_asks(api: httpx.AsyncClient) -> None:
    asked = await api.post(
        "/v1/auth/otp", json={"email": ANN}, headers={"accept-language": "fr-CA, en;q=0.5"}
    )
    assert asked.status_code == 202
    code = await read_code(api, ANN)
    outbox = await api.get("/dev/outbox", headers={"Accept": "application/json"})
    assert f"{code} est votre code" in outbox.json()["items"][0]["text"]


async def test_the_language_of_messages_is_that_of_the_last_sign_in(api: httpx.AsyncClient) -> None:
    seen = []
    for accepted in ("uk", "*;q=0.1", None, "pt, ko;q=0.4"):
        headers = {} if accepted is None else {"accept-language": accepted}
        grant_body = {"grant_type": "otp", "code": await ask_for_code(api, email=ANN), "email": ANN}
        tokens = tokens_of(await api.post("/v1/auth/token", json=grant_body, headers=headers))
        seen.append((await api.get("/v1/me", headers=header_of(tokens))).json()["language"])
    assert seen == ["uk", "en", "en", "ko"]


async def test_the_same_address_written_differently_is_the_same_account(api: httpx.AsyncClient) -> None:
    first = await sign_in(api, email=ANN)
    code = await ask_for_code(api, phone="+12025550123")
    other = tokens_of(await tell_code(api, code, phone="+1 (202) 555-0123"))

    await api.post("/v1/auth/otp", json={"email": "Ann@EXAMPLE.com"})
    second = tokens_of(await tell_code(api, await read_code(api, ANN), email=ANN.upper()))

    assert subject_of(second) == subject_of(first)
    assert subject_of(other) != subject_of(first)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": ANN, "phone": "+12025550123"}, "phone"),
        ({"email": "ann"}, "email"),
        ({"email": "ann@localhost"}, "email"),
        ({"email": "a" * 250 + "@example.com"}, "email"),
        ({"email": "ann@exa mple.com"}, "email"),
        ({"phone": "2025550123"}, "phone"),
        ({"phone": "+1202"}, "phone"),
        ({"phone": "+1 202 555 0123 ext. 5"}, "phone"),
        ({"phone": "nobody"}, "phone"),
        ({"email": None}, "email"),
        ({"email": ANN, "name": "Ann"}, "name"),
        ({"email": 7}, "email"),
    ],
    ids=str,
)
async def test_a_contact_must_be_one_and_must_be_an_address(
    api: httpx.AsyncClient, body: dict[str, object], field: str
) -> None:
    for path, more in (("/v1/auth/otp", {}), ("/v1/auth/token", {"grant_type": "otp", "code": "123456"})):
        problem = refused(await api.post(path, json=body | more), 400, "invalid")
        assert field in {error["field"] for error in problem["errors"]}


@pytest.mark.parametrize(
    "body",
    [
        {"grant_type": "password", "email": ANN},
        {"email": ANN, "code": "123456"},
        {"grant_type": "refresh"},
        {"grant_type": "refresh", "refresh_token": "x" * 1000},
        {"grant_type": "otp", "email": ANN},
        {"grant_type": "refresh", "refresh_token": "ptr_x", "code": "123456"},
        [],
    ],
    ids=str,
)
async def test_a_grant_must_be_one_of_two(api: httpx.AsyncClient, body: object) -> None:
    refused(await api.post("/v1/auth/token", json=body), 400, "invalid")


async def test_nobody_gets_in_without_the_code(api: httpx.AsyncClient) -> None:
    refused(await tell_code(api, "123456", email=ANN), 401, "unauthenticated")
    code = await ask_for_code(api, email=ANN)
    refused(await tell_code(api, wrong(code), email=ANN), 401, "unauthenticated")
    refused(await tell_code(api, code, email="bob@example.com"), 401, "unauthenticated")
    refused(await tell_code(api, "rain", email=ANN), 401, "unauthenticated")
    assert (await tell_code(api, code, email=ANN)).status_code == 200


async def test_a_code_works_once(api: httpx.AsyncClient) -> None:
    code = await ask_for_code(api, email=ANN)
    tokens_of(await tell_code(api, code, email=ANN))
    refused(await tell_code(api, code, email=ANN), 401, "unauthenticated")


async def test_two_who_tell_the_code_at_once_do_not_both_get_in(
    api: httpx.AsyncClient, another_api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    code = await ask_for_code(api, email=ANN)

    answers = await asyncio.gather(
        *(tell_code(one, code, email=ANN) for one in (api, another_api) for _ in range(4))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 7}
    assert await pool.fetchval("SELECT count(*) FROM accounts") == 1


async def test_five_wrong_answers_use_a_code_up(api: httpx.AsyncClient) -> None:
    code = await ask_for_code(api, email=ANN)
    for _ in range(5):
        refused(await tell_code(api, wrong(code), email=ANN), 401, "unauthenticated")
    refused(await tell_code(api, code, email=ANN), 401, "unauthenticated")
    assert (await tell_code(api, await ask_for_code(api, email=ANN), email=ANN)).status_code == 200


async def test_asking_for_new_codes_buys_five_answers_each_and_few_codes_are_sent(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    for _ in range(5):
        code = await ask_for_code(api, email=ANN)
        for _ in range(5):
            refused(await tell_code(api, wrong(code), email=ANN), 401, "unauthenticated")
        refused(await tell_code(api, code, email=ANN), 401, "unauthenticated")
    refused(await api.post("/v1/auth/otp", json={"email": ANN}), 429, "rate_limited")

    phone = "+12025550123"
    assert (await tell_code(api, await ask_for_code(api, phone=phone), phone=phone)).is_success
    await _pass_time(pool, seconds=900)
    assert (await tell_code(api, await ask_for_code(api, email=ANN), email=ANN)).status_code == 200


async def test_a_code_expires(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    code = await ask_for_code(api, email=ANN)
    await pool.execute("UPDATE sign_in_codes SET expires_at = app_now()")
    await pool.execute("UPDATE asked_codes SET expires_at = app_now()")
    refused(await tell_code(api, code, email=ANN), 401, "unauthenticated")


async def test_a_newer_code_takes_the_place_of_an_older_one(api: httpx.AsyncClient) -> None:
    older = await ask_for_code(api, email=ANN)
    newer = await ask_for_code(api, email=ANN)
    if older != newer:
        refused(await tell_code(api, older, email=ANN), 401, "unauthenticated")
    assert (await tell_code(api, newer, email=ANN)).status_code == 200


async def test_a_contact_gets_so_many_codes_and_then_is_left_in_peace(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    for _ in range(5):
        last = await ask_for_code(api, email=ANN)
    too_many = await api.post("/v1/auth/otp", json={"email": ANN})

    refused(too_many, 429, "rate_limited")
    wait_s = int(too_many.headers["Retry-After"])
    assert 800 < wait_s <= 900
    assert (await api.post("/v1/auth/otp", json={"email": "bob@example.com"})).status_code == 202
    # What is said is true: a second before there is no room, and then there is.
    await _pass_time(pool, seconds=wait_s - 2)
    refused(await api.post("/v1/auth/otp", json={"email": ANN}), 429, "rate_limited")
    await _pass_time(pool, seconds=2)
    assert (await tell_code(api, last, email=ANN)).status_code == 200
    assert (await api.post("/v1/auth/otp", json={"email": ANN})).status_code == 202


async def test_a_network_gets_so_many_codes_whomever_they_are_for(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await ask_for_code(api, email=ANN)
    await pool.execute(
        "UPDATE limit_windows SET moments = array_fill(moments[1], ARRAY[200])"
        " WHERE scope = 'codes of client'"
    )
    too_many = await api.post("/v1/auth/otp", json={"email": "bob@example.com"})
    refused(too_many, 429, "rate_limited")
    assert 3500 < int(too_many.headers["Retry-After"]) <= 3600


async def test_limits_on_sending_can_be_switched_off_in_development(
    settings: Settings, contract: Contract
) -> None:
    async with serving(msgspec.structs.replace(settings, rate_limits=False), contract) as api:
        for _ in range(7):
            await ask_for_code(api, email=ANN)


async def test_a_refresh_token_is_replaced_at_each_use(api: httpx.AsyncClient) -> None:
    tokens = await sign_in(api, email=ANN)
    newer = tokens_of(await refresh(api, tokens["refresh_token"]))
    newest = tokens_of(await refresh(api, newer["refresh_token"]))

    assert len({tokens["refresh_token"], newer["refresh_token"], newest["refresh_token"]}) == 3
    assert subject_of(newest) == subject_of(tokens)
    assert 30 * 24 * 3600 - 60 < newest["refresh_expires_in"] <= 30 * 24 * 3600


async def test_a_refresh_token_used_twice_ends_its_session(api: httpx.AsyncClient) -> None:
    tokens, others = await sign_in(api, email=ANN), await sign_in(api, email=ANN)
    newer = tokens_of(await refresh(api, tokens["refresh_token"]))

    refused(await refresh(api, tokens["refresh_token"]), 401, "unauthenticated")

    refused(await refresh(api, newer["refresh_token"]), 401, "unauthenticated")
    # Another sign-in of the same person is another session.
    assert (await refresh(api, others["refresh_token"])).status_code == 200


async def test_of_two_uses_at_once_one_is_answered_and_the_session_ends(
    api: httpx.AsyncClient, another_api: httpx.AsyncClient
) -> None:
    tokens = await sign_in(api, email=ANN)

    answers = await asyncio.gather(*(refresh(one, tokens["refresh_token"]) for one in (api, another_api)))

    assert sorted(answer.status_code for answer in answers) == [200, 401]
    (answered,) = (answer.json() for answer in answers if answer.status_code == 200)
    refused(await refresh(api, answered["refresh_token"]), 401, "unauthenticated")


async def test_a_session_ends_when_it_is_revoked(api: httpx.AsyncClient) -> None:
    tokens = await sign_in(api, email=ANN)
    newer = tokens_of(await refresh(api, tokens["refresh_token"]))

    for _ in range(2):
        revoked = await api.post("/v1/auth/revoke", json={"refresh_token": newer["refresh_token"]})
        assert (revoked.status_code, revoked.content) == (204, b"")
    refused(await refresh(api, newer["refresh_token"]), 401, "unauthenticated")
    assert (await api.post("/v1/auth/revoke", json={"refresh_token": "ptr_nonsense"})).status_code == 204


@pytest.mark.parametrize(
    "token", ["ptr_", "ptr_" + "A" * 64, "A" * 64, "ptr_" + "!" * 64, "ptr_" + "A" * 60, "ä"]
)
async def test_what_is_no_refresh_token_gets_nobody_in(api: httpx.AsyncClient, token: str) -> None:
    refused(await refresh(api, token), 401, "unauthenticated")


async def test_a_session_ends_after_a_month_unused_and_in_three_months_anyway(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    tokens = await sign_in(api, email=ANN)
    await pool.execute("UPDATE refresh_sessions SET created_at = created_at - interval '80 days'")
    newer = tokens_of(await refresh(api, tokens["refresh_token"]))
    assert 10 * 24 * 3600 - 60 < newer["refresh_expires_in"] <= 10 * 24 * 3600
    await pool.execute("UPDATE refresh_sessions SET expires_at = app_now()")
    refused(await refresh(api, newer["refresh_token"]), 401, "unauthenticated")


async def test_a_stale_access_token_keeps_nobody_from_signing_in(api: httpx.AsyncClient) -> None:
    code = await ask_for_code(api, email=ANN)
    answer = await api.post(
        "/v1/auth/token",
        json={"grant_type": "otp", "email": ANN, "code": code},
        headers={"Authorization": "Bearer stale"},
    )
    assert answer.status_code == 200


async def test_an_access_token_of_a_session_lets_one_buy(api: httpx.AsyncClient) -> None:
    tokens = await sign_in(api, email=ANN)
    orders = await api.get("/v1/orders", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert orders.json()["items"] == []


async def _pass_time(pool: asyncpg.Pool, *, seconds: int) -> None:
    """Moves what was counted into the past, as time would."""
    await pool.execute(
        "UPDATE limit_windows SET moments ="
        " (SELECT array_agg(m - $1 * interval '1 second') FROM unnest(moments) m)",
        seconds,
    )


async def test_a_session_has_the_role_its_account_has_now(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    tokens = await sign_in(api, email=ANN)
    refused(await api.post("/v1/products", json={}, headers=header_of(tokens)), 403, "forbidden")

    account_id, _ = await grant(pool, Contact("email", ANN), "merchant")
    assert account_id == subject_of(tokens)

    newer = tokens_of(await refresh(api, tokens["refresh_token"]))
    refused(await api.post("/v1/products", json={}, headers=header_of(newer)), 400, "invalid")
    assert subject_of(newer) == subject_of(tokens)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"email": "\u200f ann@example.com\u00a0"}, {"email": ANN}),
        ({"email": "ANN\uff20example\uff0ecom "}, {"email": ANN}),
        ({"phone": "\u2066+1 (202)\u00a0555\u20110123\u2069"}, {"phone": "+12025550123"}),
        (
            {"phone": "+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663"},
            {"phone": "+12025550123"},
        ),
    ],
    ids=str,
)
async def test_what_is_typed_signs_in_as_it_was_meant_at_the_last_try(
    api: httpx.AsyncClient, asked: dict[str, str], kept: dict[str, str]
) -> None:
    assert (await api.post("/v1/auth/otp", json=asked)).status_code == 202
    code = await read_code(api, *kept.values())
    for _ in range(4):
        refused(await tell_code(api, wrong(code), **kept), 401, "unauthenticated")

    arabic = "".join(chr(0x660 + int(digit)) for digit in code)
    tokens = tokens_of(await tell_code(api, f" \u2067{arabic[:3]} - {arabic[3:]}\u2069", **asked))
    me = await api.get("/v1/me", headers=header_of(tokens))
    assert kept.items() <= me.json().items()
