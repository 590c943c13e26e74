"""The statements of docs/operations/key-rotation.md, run as they stand, and a marketplace under each role."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from sql import migrate
from tests.documents import text_of
from tests.marketplace import Site, open_deal
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = "docs/operations/key-rotation.md"
OWNER = "pintuan"
FIRST_DOOR, SHUT, NEXT, RUNTIME = range(4)


def statements() -> list[str]:
    """The blocks of SQL, in the order of the page."""
    return re.findall(r"^```sql\n(.*?)^```$", text_of(PAGE), re.DOTALL | re.MULTILINE)


class Database:
    """A database that belongs to a role which is no superuser."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    def url_for(self, role: str) -> str:
        return self._postgres.url.replace("postgres@", f"{role}@")

    async def run(self, script: str) -> None:
        """Runs statements as an administrator."""
        connection = await asyncpg.connect(self._postgres.url, command_timeout=10)
        try:
            await connection.execute(script)
        finally:
            await connection.close()


@pytest.fixture
async def database(own_postgres: EmbeddedPostgres) -> Database:
    database = Database(own_postgres)
    await database.run(f"CREATE ROLE {OWNER} LOGIN; ALTER DATABASE pintuan OWNER TO {OWNER}")
    await database.run(f"GRANT ALL ON SCHEMA public TO {OWNER}")
    await migrate(database.url_for(OWNER))
    return database


@asynccontextmanager
async def selling(site: Site, url: str, own_redis: EmbeddedRedis) -> AsyncIterator[None]:
    """A marketplace under a role: it starts, takes an order and its payment, and its audit is clean."""
    stores = {"PINTUAN_DATABASE_URL": url, "PINTUAN_REDIS_URL": own_redis.url}
    up = await site.up(**stores)
    merchant, buyer = await site.tokens("merchant", "acme"), await site.tokens("buyer", "ann")
    async with up.client() as client:
        deal = await open_deal(
            client,
            merchant[0],
            ladder=[{"headcount": 2, "unit_price": 900}],
            stock=9,
            min_headcount=2,
            max_headcount=6,
            group_ttl_seconds=600,
            per_buyer_units=2,
        )
        headers = {"Authorization": f"Bearer {buyer[0]}", "Idempotency-Key": "k1"}
        body = {"quantity": 1, "payment_method": "pm_ok"}
        joined = await client.post(f"/v1/deals/{deal}/join", json=body, headers=headers)
        assert joined.status_code == httpx.codes.CREATED, joined.text
        path = f"/v1/orders/{joined.json()['id']}"

        async def is_paid() -> bool:
            return bool((await client.get(path, headers=headers)).json()["status"] == "authorised")

        await until(is_paid)
    yield
    await site.assert_sound(**stores)
    assert await up.terminate() == 0


async def test_the_password_of_postgres_is_replaced_by_roles_in_turn(
    site: Site, database: Database, own_redis: EmbeddedRedis
) -> None:
    blocks = statements()
    await database.run(blocks[FIRST_DOOR])
    async with selling(site, database.url_for("pintuan_2"), own_redis):
        await database.run(blocks[SHUT])
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(database.url_for(OWNER), timeout=10)
    connection = await asyncpg.connect(database.url_for("pintuan_2"), command_timeout=10)
    await connection.execute("CREATE TABLE of_a_migration (id integer)")
    await connection.close()

    await database.run(blocks[NEXT])
    async with selling(site, database.url_for("pintuan_3"), own_redis):
        pass


async def test_a_role_that_cannot_change_the_schema_runs_all_but_migrations(
    site: Site, database: Database, own_redis: EmbeddedRedis
) -> None:
    await database.run(statements()[RUNTIME])
    runtime = database.url_for("pintuan_runtime")
    async with selling(site, runtime, own_redis):
        pass

    await database.run(
        "DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)"
    )
    refused = await site.up_refused(PINTUAN_DATABASE_URL=runtime, PINTUAN_REDIS_URL=own_redis.url)
    assert refused.status == 1
    assert "permission denied" in refused.errors
    connection = await asyncpg.connect(database.url_for(OWNER), command_timeout=10)
    await connection.execute("CREATE TABLE of_a_migration (id integer)")
    await connection.close()
    connection = await asyncpg.connect(runtime, command_timeout=10)
    try:
        await connection.execute("INSERT INTO of_a_migration VALUES (1)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DROP TABLE of_a_migration")
    finally:
        await connection.close()
