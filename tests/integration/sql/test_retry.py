"""Work that Postgres rolled back for somebody else's sake is repeated, a bounded number of times."""

import asyncpg
import pytest

from sql.retry import ROLLED_BACK_RETRY_MAX, retry_serialization

pytestmark = pytest.mark.anyio


async def test_a_plan_that_a_migration_made_stale_is_made_again(database_url: str) -> None:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, command_timeout=10) as pool:
        await pool.execute("CREATE TABLE thing (a integer)")
        await pool.execute("INSERT INTO thing VALUES (1)")

        async def read() -> list[asyncpg.Record]:
            async with pool.acquire() as connection, connection.transaction():
                return await connection.fetch("SELECT * FROM thing")

        await read()
        other = await asyncpg.connect(database_url)
        try:
            await other.execute("ALTER TABLE thing ADD COLUMN b text DEFAULT 'new'")
        finally:
            await other.close()

        assert [dict(row) for row in await retry_serialization(read)] == [{"a": 1, "b": "new"}]


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError])
async def test_work_that_was_rolled_back_is_repeated_and_then_given_up(
    error: type[asyncpg.PostgresError],
) -> None:
    calls = 0

    async def always() -> None:
        nonlocal calls
        calls += 1
        raise error("rolled back")

    with pytest.raises(error):
        await retry_serialization(always)
    assert calls == ROLLED_BACK_RETRY_MAX + 1


async def test_other_errors_are_not_repeated() -> None:
    calls = 0

    async def refused() -> None:
        nonlocal calls
        calls += 1
        raise asyncpg.UniqueViolationError("duplicate")

    with pytest.raises(asyncpg.UniqueViolationError):
        await retry_serialization(refused)
    assert calls == 1
