"""Every named statement is understood by Postgres against the migrated schema, so that none can rot."""

import asyncpg
import pytest

from tests.query_files import query_files

pytestmark = pytest.mark.anyio


async def test_postgres_prepares_every_statement(pool: asyncpg.Pool) -> None:
    refused = []
    for file in query_files():
        for name, statement in file.queries.items():
            try:
                async with pool.acquire() as connection:
                    await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                refused.append(f"{file.noun}.{name}: {error}")

    assert refused == []
