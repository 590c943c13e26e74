"""`pintuan migrate`: brings the database's schema up to date, safely from many processes at once."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import click

import sql
from pintuan.base.settings.settings import Settings, SettingsError, load_settings
from pintuan.base.stores.embedded.process import try_lock
from pintuan.base.stores.pooler import require_own_sessions
from pintuan.base.stores.running import running_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TURN_FILE = "migrate.lock"
TURN_WAIT_S_MAX = 120.0
TURN_POLL_S = 0.1


@click.command()
@click.option("--dry-run", is_flag=True, help="List what would be applied and change nothing.")
def command(*, dry_run: bool) -> None:
    """Bring the database's schema up to date."""
    asyncio.run(_migrate(load_settings(), dry_run=dry_run))


async def _migrate(settings: Settings, *, dry_run: bool) -> None:
    try:
        async with _database(settings) as database_url:
            names = await sql.migrate(database_url, dry_run=True, on_newer=_tell_of_newer)
            if names and not dry_run:
                # Migrations take turns by a lock of their session.
                await require_own_sessions(database_url)
                names = await sql.migrate(database_url, on_event=click.echo)
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error
    if not names:
        click.echo("the schema is up to date")
    elif dry_run:
        click.echo("\n".join(f"would apply {name}" for name in names))
    else:
        click.echo(f"applied {len(names)}")


def _tell_of_newer(names: list[str]) -> None:
    click.echo(sql.beside(names), err=True)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """Yields the URL of the database: the one set, or an embedded one for the life of the block."""
    if settings.database_url is not None:
        # Nothing else of the marketplace is needed, so no other store is started.
        yield settings.database_url
        return
    async with _turn(settings.data_dir), running_services(settings) as running:
        if running.database_url is None:
            raise click.ClickException("no database to migrate")
        yield running.database_url


@asynccontextmanager
async def _turn(data_dir: Path) -> AsyncIterator[None]:
    """Lets one migration at a time start an embedded server, because the data directory takes only one."""
    descriptor = _open_turn_file(data_dir)
    try:
        deadline = time.monotonic() + TURN_WAIT_S_MAX
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise click.ClickException(
                    f"another migration of {data_dir} has been running for over {TURN_WAIT_S_MAX:g} s"
                )
            await asyncio.sleep(TURN_POLL_S)
        yield
    finally:
        # Closing the file gives the turn back, as does the end of the process.
        os.close(descriptor)


def _open_turn_file(data_dir: Path) -> int:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return os.open(data_dir / TURN_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError("PINTUAN_DATA_DIR", f"cannot use {data_dir}: {error.strerror}") from error
