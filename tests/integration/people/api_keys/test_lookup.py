"""Looking keys up takes its share of the pool and no more."""

import asyncio

import asyncpg
import pytest

from pintuan.base.errors import Overloaded, Unauthenticated
from pintuan.people.api_keys import store
from pintuan.people.api_keys.key_text import Claimed, new_key
from pintuan.people.api_keys.limits import LOOKUPS_AT_ONCE_MAX
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.people.api_keys.service import KeyLookup, create_key
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_more_lookups_than_there_are_turns_are_told_to_come_again(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.people.api_keys.service.LOOKUP_WAIT_S", 0.01)
    key = (await create_key(pool, "acme", NewApiKey("stock sync"))).key
    lookup = KeyLookup(pool)
    blocker = await asyncpg.connect(database_url)

    async def all_turns_are_taken() -> bool:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'api_keys'::regclass"
        return bool(await blocker.fetchval(waiting) == LOOKUPS_AT_ONCE_MAX)

    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
            held_up = [asyncio.create_task(lookup.principal_of(key)) for _ in range(LOOKUPS_AT_ONCE_MAX)]
            await until(all_turns_are_taken)
            with pytest.raises(Overloaded):
                await lookup.principal_of(new_key()[0])
        assert {principal.subject for principal in await asyncio.gather(*held_up)} == {"acme"}
    finally:
        await blocker.close()
    assert (await lookup.principal_of(key)).subject == "acme"


async def test_a_key_that_was_refused_is_not_looked_up_again(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Claimed] = []
    use_key = store.use_key

    async def counted(pool: asyncpg.Pool, claimed: Claimed) -> str | None:
        looked_up.append(claimed)
        return await use_key(pool, claimed)

    monkeypatch.setattr(store, "use_key", counted)
    monkeypatch.setattr("pintuan.people.api_keys.service.REFUSED_COUNT_MAX", 2)
    lookup, unknown = KeyLookup(pool), [new_key()[0] for _ in range(3)]
    for text in (unknown[0], unknown[0], unknown[1], unknown[0], unknown[1]):
        with pytest.raises(Unauthenticated):
            await lookup.principal_of(text)
    assert len(looked_up) == 2

    # What is remembered is bounded: the oldest is forgotten first.
    for text in (unknown[2], unknown[1], unknown[0]):
        with pytest.raises(Unauthenticated):
            await lookup.principal_of(text)
    assert len(looked_up) == 4
    key = (await create_key(pool, "acme", NewApiKey("stock sync"))).key
    assert (await lookup.principal_of(key)).subject == "acme"
