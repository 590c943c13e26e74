"""What happens to people who do two things at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pintuan.base.auth import Principal
from pintuan.base.errors import Unauthenticated
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.bootstrap import open_resources
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity import codes, sessions
from pintuan.people.identity.routes import code_sender_of
from pintuan.people.identity.schemas import Tokens
from pintuan.people.identity.store import purge
from pintuan.people.notifications.service import read_outbox
from pintuan.selling.rights.service import grant
from tests.people import erase, sign_in_with

pytestmark = pytest.mark.anyio

ANN = Contact("email", "ann@example.com")
ROUNDS = 10
DAY_MS = 24 * 3_600_000


@pytest.fixture
async def resources(database_url: str, redis_url: str) -> AsyncIterator[Resources]:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, secret_key="k" * 40, rate_limits=False
    )
    async with open_resources(settings, is_api=True) as resources:
        yield resources


async def ask_for_code(resources: Resources) -> str:
    await code_sender_of(resources).send(ANN, client_key="192.0.2.1")
    code = (await read_outbox(resources.pool, resources.keyring, ANN.address))[0].code
    assert code is not None
    return code


async def sign_in(resources: Resources) -> Tokens:
    return await sign_in_with(resources, ANN, await ask_for_code(resources))


async def subject_of(resources: Resources) -> str:
    subject: str = await resources.pool.fetchval("SELECT id FROM accounts")
    return subject


async def test_a_sign_in_and_a_grant_at_once_make_one_account(
    resources: Resources, pool: asyncpg.Pool
) -> None:
    for _ in range(ROUNDS):
        code = await ask_for_code(resources)
        *granted, _ = await asyncio.gather(
            grant(pool, ANN, "merchant"),
            grant(pool, ANN, "merchant"),
            sign_in_with(resources, ANN, code),
        )
        assert {account_id for account_id, _ in granted} == {await subject_of(resources)}
        await pool.execute("DELETE FROM accounts")


async def test_a_session_that_is_refreshed_while_its_owner_is_erased_ends(
    resources: Resources, pool: asyncpg.Pool
) -> None:
    for _ in range(ROUNDS):
        tokens = await sign_in(resources)
        principal = Principal(await subject_of(resources), "buyer")

        erased, refreshed = await asyncio.gather(
            erase(resources, principal),
            sessions.refresh(resources.pool, resources.keyring, resources.clock, tokens.refresh_token),
            return_exceptions=True,
        )

        assert erased is None
        assert isinstance(refreshed, Tokens | Unauthenticated)
        token = refreshed.refresh_token if isinstance(refreshed, Tokens) else tokens.refresh_token
        with pytest.raises(Unauthenticated):
            await sessions.refresh(resources.pool, resources.keyring, resources.clock, token)
        assert await pool.fetchval("SELECT count(*) FROM refresh_sessions") == 0


async def test_who_signs_in_while_being_erased_is_somebody_new_or_nobody(
    resources: Resources, pool: asyncpg.Pool
) -> None:
    for _ in range(ROUNDS):
        await sign_in(resources)
        old = await subject_of(resources)
        code = await ask_for_code(resources)

        erased, signed_in = await asyncio.gather(
            erase(resources, Principal(old, "buyer")),
            sign_in_with(resources, ANN, code),
            return_exceptions=True,
        )

        assert erased is None
        assert isinstance(signed_in, Tokens | Unauthenticated)
        # A code that was told in time may have made a new account; nothing of the old one is left.
        assert await pool.fetchval("SELECT count(*) FROM accounts WHERE id = $1", old) == 0
        assert await pool.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", old) == 0
        assert await pool.fetchval("SELECT count(*) FROM refresh_sessions WHERE account_id = $1", old) == 0
        await pool.execute("DELETE FROM accounts")


async def test_twenty_codes_asked_for_at_once_keep_to_the_limit(database_url: str, redis_url: str) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url, secret_key="k" * 40)
    async with open_resources(settings, is_api=True) as resources:
        answers = await asyncio.gather(
            *(code_sender_of(resources).send(ANN, client_key="192.0.2.1") for _ in range(20)),
            return_exceptions=True,
        )
        assert answers.count(None) == 5
        assert await resources.pool.fetchval("SELECT count(*) FROM notifications") == 5
        assert await resources.pool.fetchval("SELECT count(*) FROM sign_in_codes") == 1


async def test_wrong_answers_at_once_are_counted_one_by_one(resources: Resources, pool: asyncpg.Pool) -> None:
    code = await ask_for_code(resources)
    guesses = [f"{(int(code) + step) % 1_000_000:06}" for step in range(1, 11)]
    answers = await asyncio.gather(
        *(sign_in_with(resources, ANN, guess) for guess in guesses),
        return_exceptions=True,
    )
    assert all(isinstance(answer, Unauthenticated) for answer in answers)
    assert await pool.fetchval("SELECT attempts FROM asked_codes") == codes.ATTEMPTS_PER_CODE_MAX


async def test_what_need_not_be_known_any_more_is_forgotten(resources: Resources, pool: asyncpg.Pool) -> None:
    tokens = await sign_in(resources)
    await ask_for_code(resources)
    await pool.execute(
        "INSERT INTO limit_windows VALUES ('test', sha256('a'), ARRAY[app_now()], app_now() + interval '1 h')"
    )
    assert await purge(pool, session_age_ms=1000, known_ms=DAY_MS, limit=10) == 0
    for table in ("refresh_sessions", "sign_in_codes", "asked_codes"):
        await pool.execute(
            f"UPDATE {table} SET created_at = created_at - interval '40 days',"  # noqa: S608 - names from above
            " expires_at = expires_at - interval '31 days'"
        )
    await pool.execute("UPDATE known_clients SET seen_at = seen_at - interval '2 days'")
    await pool.execute("UPDATE limit_windows SET idle_at = app_now()")
    assert await purge(pool, session_age_ms=1000, known_ms=DAY_MS, limit=10) == 5
    with pytest.raises(Unauthenticated):
        await sessions.refresh(resources.pool, resources.keyring, resources.clock, tokens.refresh_token)
