"""The Postgres and Redis a command works with: those set, a running marketplace's, or embedded ones."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import msgspec

import sql
from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis, MissingServerError
from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.pooler import require_own_sessions


@asynccontextmanager
async def running_services(settings: Settings) -> AsyncIterator[Settings]:
    """Yields the settings with both URLs set, for the life of the block.

    A URL that is set wins. A missing URL is that of the marketplace running on the data directory, or else of
    an embedded server, started now and stopped afterwards. No other process can use the directory meanwhile.

    Raises SettingsError when the directory is in use by a process one cannot attach to, or cannot be used.
    """
    if settings.database_url and settings.redis_url:
        yield settings
        return
    directory = DataDirectory(settings.data_dir)
    running = directory.running()
    if running:
        yield msgspec.structs.replace(
            settings,
            database_url=settings.database_url or running.database_url,
            redis_url=settings.redis_url or running.redis_url,
            http_port=urlsplit(running.http_url).port or settings.http_port,
        )
        return
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(directory.locked())
            started = await _start_missing(settings, directory, stack)
        except MissingServerError as error:
            raise SettingsError(error.variable, str(error)) from error
        except EmbeddedError as error:
            raise SettingsError("PINTUAN_DATA_DIR", str(error)) from error
        yield started


@asynccontextmanager
async def migrated_database(settings: Settings) -> AsyncIterator[Settings]:
    """Yields the settings with a database: the one set, or that of the data directory, brought up to date.

    Nothing else of the marketplace is started where a database is set, and that one is left as it is.

    Raises SettingsError as `running_services` does or behind a pooler that hands sessions around, OSError,
    asyncpg.PostgresError and asyncpg.InterfaceError where the database set cannot be reached, and
    sql.MigrationError.
    """
    if settings.database_url is not None:
        await require_own_sessions(settings.database_url)
        yield settings
        return
    async with running_services(settings) as running:
        if running.database_url is None:
            raise SettingsError("PINTUAN_DATABASE_URL", "not set, and no database was started")
        await sql.migrate(running.database_url)
        yield msgspec.structs.replace(settings, database_url=running.database_url)


async def _start_missing(settings: Settings, directory: DataDirectory, stack: AsyncExitStack) -> Settings:
    if settings.database_url is None:
        postgres = EmbeddedPostgres(directory.postgres, log=directory.log("postgres"))
        await _start(postgres, stack)
        settings = msgspec.structs.replace(settings, database_url=postgres.url)
    if settings.redis_url is None:
        redis = EmbeddedRedis(directory.redis, log=directory.log("redis"))
        await _start(redis, stack)
        settings = msgspec.structs.replace(settings, redis_url=redis.url)
    return settings


async def _start(server: EmbeddedPostgres | EmbeddedRedis, stack: AsyncExitStack) -> None:
    server.prepare()
    stack.push_async_callback(server.stop)
    await server.start()
    await server.wait_ready()
