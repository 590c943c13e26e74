"""Every named statement is understood by Postgres against the migrated schema, so that none can rot."""

import asyncpg
import pytest

from sql import load_queries
from sql.loader import known_nouns

pytestmark = pytest.mark.anyio


async def test_postgres_prepares_every_statement(pool: asyncpg.Pool) -> None:
    refused = []
    for noun in known_nouns():
        for name, statement in load_queries(noun).items():
            try:
                async with pool.acquire() as connection:
                    await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                refused.append(f"{noun}.{name}: {error}")

    assert refused == []
