"""The log of changes: added to with the change or not at all, and then left alone by everybody."""

from __future__ import annotations

import asyncpg
import pytest

from groups.ids import new_id
from pintuan.base.auth.acting import Actor, acting
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.people.activity.changes import TEXT_CHARS_MAX, changed, host_of, made
from pintuan.people.activity.log import note
from pintuan.people.activity.store import ADDRESSES_KEPT_MS, Wanted, forget_addresses, list_activity
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.people.api_keys.service import create_key

pytestmark = pytest.mark.anyio

ACTOR = Actor(
    subject="acme",
    role="merchant",
    action="pause_deal",
    credential="token",
    credential_id="ses_1",
    request_id="r-1",
    address="192.0.2.7",
)
WRITES = (
    "UPDATE activity SET actor = 'somebody else'",
    "UPDATE activity SET changes = '{}' WHERE id = 'no such entry'",
    "DELETE FROM activity",
    "TRUNCATE activity CASCADE",
    "TRUNCATE activity_addresses, activity",
    "UPDATE activity_addresses SET address = '127.0.0.1'",
    "TRUNCATE activity_addresses",
)


async def noted(pool: asyncpg.Pool, merchant: str = "acme") -> None:
    """One entry."""
    with acting(ACTOR):
        async with pool.acquire() as connection, connection.transaction():
            await note(connection, merchant, ["deal_1"], changed({"status": "active"}, {"status": "paused"}))


async def test_an_entry_tells_who_did_what_to_what_with_what(app_pool: asyncpg.Pool) -> None:
    await noted(app_pool)
    (entry,) = await list_activity(app_pool, Wanted(), after=None, limit=10)
    assert (entry.actor, entry.actor_role, entry.action) == ("acme", "merchant", "pause_deal")
    assert (entry.credential, entry.credential_id, entry.address) == ("token", "ses_1", "192.0.2.7")
    assert (entry.object_ids, entry.request_id) == (["deal_1"], "r-1")
    assert entry.changes == {"status": {"before": "active", "after": "paused"}}


async def test_what_is_rolled_back_leaves_no_entry(app_pool: asyncpg.Pool) -> None:
    async with app_pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        with acting(ACTOR):
            await note(connection, "acme", ["deal_1"])
        await transaction.rollback()
    assert await list_activity(app_pool, Wanted(), after=None, limit=10) == []


async def test_what_nobody_answers_for_leaves_none(app_pool: asyncpg.Pool) -> None:
    await create_key(app_pool, "acme", NewApiKey("stock sync"))
    assert await list_activity(app_pool, Wanted(), after=None, limit=10) == []


@pytest.mark.parametrize("statement", WRITES)
async def test_not_even_the_tables_owner_changes_an_entry(app_pool: asyncpg.Pool, statement: str) -> None:
    await noted(app_pool)
    before = await list_activity(app_pool, Wanted(), after=None, limit=10)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only added to"):
        await app_pool.execute(statement)
    assert await list_activity(app_pool, Wanted(), after=None, limit=10) == before


async def test_a_role_that_writes_rows_changes_no_entry_and_lifts_no_ban(
    app_pool: asyncpg.Pool,
) -> None:
    await noted(app_pool)
    role = f"runs_{new_id('x')[2:14]}"
    async with app_pool.acquire() as connection:
        await connection.execute(f"CREATE ROLE {role}")
        try:
            await connection.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
            )
            await connection.execute(f"SET ROLE {role}")
            await connection.execute(
                "INSERT INTO activity (id, actor, actor_role, credential, action, object_ids, changes)"
                " VALUES ('act_1', 'acme', 'merchant', 'token', 'pause_deal', '{}', '{}')"
            )
            lifts = (
                "ALTER TABLE activity DISABLE TRIGGER activity_stays",
                "DROP TRIGGER activity_stays ON activity",
                "SET session_replication_role = replica",
                "DROP TABLE activity CASCADE",
            )
            for statement in (*WRITES, *lifts):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_an_address_is_forgotten_in_time_and_its_entry_stays(
    app_pool: asyncpg.Pool, database_url: str
) -> None:
    await noted(app_pool)
    assert await forget_addresses(app_pool, 10) == 0
    assert await forget_addresses_at(database_url, ADDRESSES_KEPT_MS + 1_000) == 1
    (entry,) = await list_activity(app_pool, Wanted(), after=None, limit=10)
    assert (entry.actor, entry.address) == ("acme", None)


async def forget_addresses_at(database_url: str, later_ms: int) -> int:
    """What a sweep does that comes so much later."""
    settings = Settings(database_url=database_url, sim_offset_ms=later_ms)
    async with open_pool(settings, size_max=1, application_name="later") as pool:
        return await forget_addresses(pool, 10)


async def test_entries_are_found_by_merchant_actor_action_and_object(app_pool: asyncpg.Pool) -> None:
    await noted(app_pool)
    await noted(app_pool, merchant="zenith")
    for wanted, count in (
        (Wanted(merchant_id="acme"), 1),
        (Wanted(actor="acme"), 2),
        (Wanted(actor="zenith"), 0),
        (Wanted(action="pause_deal", object_id="deal_1"), 2),
        (Wanted(action="end_deal"), 0),
        (Wanted(object_id="deal_2"), 0),
    ):
        assert len(await list_activity(app_pool, wanted, after=None, limit=10)) == count, wanted


def test_long_texts_are_cut_and_urls_tell_where_they_lead_alone() -> None:
    (field,) = made(description="x" * 10_000).values()
    assert len(field["after"]) == TEXT_CHARS_MAX + 1
    assert host_of("https://user:secret@hooks.example.com:8443/secret?token=secret") == (
        "https://hooks.example.com:8443"
    )
