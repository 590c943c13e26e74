"""Connections have their deadlines and their types."""

import asyncio

import pytest

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores import postgres as database
from pintuan.base.stores.embedded import EmbeddedPostgres
from pintuan.base.stores.postgres import open_pool

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, sim_offset_ms=3_600_000)


async def test_a_session_starts_with_every_timeout_and_the_simulated_offset(settings: Settings) -> None:
    async with open_pool(settings, size_max=2, application_name="pintuan-test") as pool:
        shown = {
            name: await pool.fetchval(f"SHOW {name}")
            for name in (
                "application_name",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "timezone",
            )
        }
        ahead_s = await pool.fetchval("SELECT extract(epoch FROM app_now() - statement_timestamp())::float8")

    assert shown == {
        "application_name": "pintuan-test",
        "statement_timeout": "8s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "15s",
        "timezone": "UTC",
    }
    assert ahead_s == 3600


async def test_jsonb_is_read_and_written_as_plain_values(settings: Settings) -> None:
    value = {"images": ["a", "ü"], "count": 2, "none": None}

    async with open_pool(settings, size_max=2, application_name="test") as pool:
        assert await pool.fetchval("SELECT $1::jsonb", value) == value


async def test_waiting_for_a_connection_ends(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ACQUIRE_TIMEOUT_S", 0.01)

    async with open_pool(settings, size_max=1, application_name="test") as pool, pool.acquire():
        with pytest.raises(TimeoutError):
            await pool.fetchval("SELECT 1")


async def test_a_transaction_left_open_is_rolled_back_when_its_connection_goes_back(
    settings: Settings,
) -> None:
    async with open_pool(settings, size_max=1, application_name="test") as pool:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        try:
            async with pool.acquire() as connection:
                await connection.execute("BEGIN")
                await connection.execute("INSERT INTO merchants (id) VALUES ('left open')")
        finally:
            asyncio.get_running_loop().set_exception_handler(None)

        assert await pool.fetchval("SELECT count(*) FROM merchants") == 0


async def test_a_postgres_that_is_still_starting_is_waited_for(own_postgres: EmbeddedPostgres) -> None:
    settings = Settings(database_url=own_postgres.url)
    await own_postgres.stop()

    async def ask() -> object:
        async with open_pool(settings, size_max=1, application_name="test", wait_s=60) as pool:
            return await pool.fetchval("SELECT 7")

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    await own_postgres.start()
    assert await asking == 7


async def test_a_postgres_that_is_not_there_is_not_waited_for_unless_asked(
    own_postgres: EmbeddedPostgres,
) -> None:
    await own_postgres.stop()
    with pytest.raises(OSError, match=r"No such file|refused"):
        async with open_pool(Settings(database_url=own_postgres.url), size_max=1, application_name="test"):
            pass


async def test_without_a_url_the_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="PINTUAN_DATABASE_URL"):
        async with open_pool(Settings(), size_max=1, application_name="test"):
            pass
