"""Behind a real pgbouncer: settings of sessions hold, or nothing starts."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.durability import check_durability
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.cli import main
from pintuan.running.diagnosis import diagnose
from sql import migrate
from tests.marketplace import free_port
from tests.waiting import until

PGBOUNCER = shutil.which("pgbouncer")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed"),
]
STOP_S_MAX = 10.0


@asynccontextmanager
async def pooled(postgres: EmbeddedPostgres, directory: Path, *, mode: str) -> AsyncIterator[str]:
    """The URL of the same database by way of a pgbouncer with its defaults, but for the mode."""
    port, owner = free_port(), postgres.directory.stat()
    config = directory / f"{mode}.ini"
    config.write_text(
        f"[databases]\npintuan = host={postgres.directory} dbname=pintuan user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        f"pool_mode = {mode}\nunix_socket_dir =\n"
    )
    config.chmod(0o644)
    directory.chmod(0o755)  # noqa: ASYNC240 - it takes no time.
    assert PGBOUNCER is not None
    process = await asyncio.create_subprocess_exec(
        PGBOUNCER,
        "-q",
        str(config),
        user=owner.st_uid if os.geteuid() == 0 else None,
        group=owner.st_gid if os.geteuid() == 0 else None,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    try:
        await until(listens)
        yield f"postgresql://pintuan@127.0.0.1:{port}/pintuan"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_S_MAX)


async def record_of_migrations(postgres: EmbeddedPostgres) -> str | None:
    """What the database has of the record of migrations, asked of Postgres itself."""
    connection = await asyncpg.connect(postgres.url, command_timeout=10)
    try:
        found: str | None = await connection.fetchval("SELECT to_regclass('schema_migrations')::text")
    finally:
        await connection.close()
    return found


async def test_settings_of_sessions_hold_behind_a_pooler_that_keeps_them_apart(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, own_directory: Path
) -> None:
    await migrate(own_postgres.url)
    async with pooled(own_postgres, own_directory, mode="session") as url:
        settings = Settings(database_url=url, redis_url=own_redis.url, platform_fee_bps=700)
        await check_durability(settings)
        statuses = {finding.subject: finding.status for finding in await diagnose(settings)}
        assert statuses["postgres"] == statuses["migrations"] == "ok"
        async with open_pool(settings, size_max=3, application_name="pintuan-test") as pool:
            await pool.execute("INSERT INTO merchants (id) VALUES ('acme')")
            assert await pool.fetchval("SELECT fee_bps FROM merchants WHERE id = 'acme'") == 700
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                assert await pool.fetchval(f"SHOW {name}") != "0"


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_hands_sessions_around_is_refused_and_doctor_says_the_same(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, own_directory: Path, mode: str
) -> None:
    async with pooled(own_postgres, own_directory, mode=mode) as url:
        settings = Settings(database_url=url, redis_url=own_redis.url)
        with pytest.raises(SettingsError) as caught:
            await check_durability(settings)
        assert caught.value.variable == "PINTUAN_DATABASE_URL"
        assert "pool" in caught.value.reason
        with pytest.raises((SettingsError, asyncpg.PostgresError), match="pool"):
            async with migrated_database(settings):
                pass
        migration = await asyncio.to_thread(
            CliRunner(env={"PINTUAN_DATABASE_URL": url}).invoke, main, ["migrate"]
        )
        assert migration.exit_code == 1
        assert migration.stderr.startswith("Error: ")
        assert await record_of_migrations(own_postgres) is None, "nothing was migrated"
        assert "FAIL" in {
            one.status for one in await diagnose(settings) if one.subject.startswith("postgres")
        }
