"""Applies the migrations a database lacks, safely from many processes at once.

Each is applied in one transaction together with its row in `schema_migrations`, so that a failed one leaves
nothing behind. A file whose first line is `-- no-transaction` holds one statement that Postgres refuses
inside a transaction, such as CREATE INDEX CONCURRENTLY; write it with IF NOT EXISTS, because a crash can come
between the statement and its record.

Processes take turns with a session advisory lock, so the URL must lead to Postgres itself and not to a pooler
that hands sessions around. The lock is polled: a session blocked on it would hold a snapshot, and CREATE
INDEX CONCURRENTLY waits for every older snapshot to go, so the two would deadlock
(https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).

A version also runs beside newer migrations than it knows, so that a release can be taken back, and an old
container that restarts during one comes up again. The record of a file that takes something away says which
migration a version must know, and only a version that does not refuses (`sql.migration_files`).

Raised are the errors drawn in `sql.migration_errors`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from sql.loader import load_queries
from sql.migration_errors import (
    DatabaseNewerError,
    DatabaseUnreachableError,
    MigrationBusyError,
    MigrationChangedError,
    MigrationError,
    MigrationFailedError,
    MigrationOutOfOrderError,
)
from sql.migration_files import Migration, read_migrations

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable
    from pathlib import Path

MIGRATIONS = load_queries(__package__, "migrations")
# Any fixed number serves, as long as nothing else in the database takes the same one.
TURN_LOCK_KEY = 7_046_029_254_386_353_131


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a run may wait for each thing."""

    connect_timeout_s: float = 10.0
    command_timeout_s: float = 10.0
    # Short, because everyone else queues behind a migration that waits for a table lock.
    lock_timeout_ms: int = 5_000
    statement_timeout_ms: int = 300_000
    file_timeout_s: float = 900.0
    turn_timeout_s: float = 960.0
    turn_poll_s: float = 0.1


DEFAULT_LIMITS = Limits()


async def migrate(
    dsn: str,
    *,
    dry_run: bool = False,
    on_event: Callable[[str], None] | None = None,
    on_newer: Callable[[list[str]], None] | None = None,
    directory: Path | Traversable | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[str]:
    """Applies what the database lacks, in order, and returns the names applied.

    A dry run returns what would be applied and changes nothing. `on_event` gets one line per step. `on_newer`
    gets the names of migrations this version does not know and runs beside, where there are any. `directory`
    replaces the package's own migrations. Raises the errors drawn in `sql.migration_errors`.
    """
    tell = on_event or _tell_nobody
    known = read_migrations(directory or files("sql").joinpath("migrations"))
    connection = await _connect(dsn, limits)
    try:
        pending, newer = await _compare(connection, known)
        if newer and on_newer:
            on_newer(newer)
        if dry_run or not pending:
            return [migration.name for migration in pending]
        await _take_turn(connection, limits, tell)
        await connection.execute(MIGRATIONS["create_table"])
        await connection.execute(MIGRATIONS["add_needs"])
        # Whoever had the turn before may have done the work meanwhile.
        pending, _ = await _compare(connection, known)
        for migration in pending:
            tell(f"applying {migration.name}")
            await _apply(connection, migration, limits)
        return [migration.name for migration in pending]
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise MigrationError(f"the migration stopped: {_reason(error)}") from error
    finally:
        await _close(connection, limits)


def beside(newer: list[str]) -> str:
    """Says in one line which migrations of a later version this one runs beside."""
    return f"the database is newer than this version, which runs beside {', '.join(newer)}"


async def _connect(dsn: str, limits: Limits) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(
            dsn,
            timeout=limits.connect_timeout_s,
            command_timeout=limits.command_timeout_s,
            server_settings={"application_name": "pintuan-migrate"},
        )
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise DatabaseUnreachableError(_server(dsn), _reason(error)) from error


async def applied_migrations(
    connection: asyncpg.Connection | asyncpg.Pool, *, timeout_s: float | None = None
) -> list[asyncpg.Record] | None:
    """Returns number, name, sha256 and need of what a database has, oldest first; None if it has no record.

    Each of the two statements has `timeout_s`. Raises what asyncpg raises.
    """
    if not await connection.fetchval(MIGRATIONS["has_table"], timeout=timeout_s):
        return None
    return await connection.fetch(MIGRATIONS["list_applied"], timeout=timeout_s)


async def _close(connection: asyncpg.Connection, limits: Limits) -> None:
    """Ends the session, which gives the turn back."""
    # asyncpg aborts the connection when a polite close takes too long, which ends the session as well.
    with suppress(TimeoutError):
        await connection.close(timeout=limits.command_timeout_s)


async def _compare(
    connection: asyncpg.Connection, known: list[Migration]
) -> tuple[list[Migration], list[str]]:
    """Returns what the database lacks, and the names of newer migrations that it has and we run beside."""
    rows = await applied_migrations(connection)
    if rows is None:
        return known, []
    applied = {row["number"]: row for row in rows}
    newer = _newer(rows, known)
    for migration in known:
        row = applied.get(migration.number)
        if row is not None and row["sha256"] != migration.sha256:
            raise MigrationChangedError(migration.file)
    pending = [migration for migration in known if migration.number not in applied]
    if pending and applied and pending[0].number < max(applied):
        raise MigrationOutOfOrderError(pending[0].file, applied[max(applied)]["name"])
    return pending, newer


def _newer(applied: list[asyncpg.Record], known: list[Migration]) -> list[str]:
    """Returns the names of newer migrations; raises DatabaseNewerError where we cannot run beside them."""
    numbers = {migration.number for migration in known}
    newest = max(numbers, default=0)
    newer = [row for row in applied if row["number"] not in numbers]
    # One below our newest is no later version's but another line's, and nobody promised anything about it.
    breaking = [
        row["name"]
        for row in newer
        if row["number"] < newest or (row["needs"] is not None and row["needs"] > newest)
    ]
    if breaking:
        raise DatabaseNewerError(breaking)
    return [row["name"] for row in newer]


async def _take_turn(connection: asyncpg.Connection, limits: Limits, tell: Callable[[str], None]) -> None:
    deadline = time.monotonic() + limits.turn_timeout_s
    told = False
    while not await connection.fetchval(MIGRATIONS["try_lock"], TURN_LOCK_KEY):
        if time.monotonic() >= deadline:
            raise MigrationBusyError(limits.turn_timeout_s)
        if not told:
            tell("waiting for another process that is migrating this database")
            told = True
        await asyncio.sleep(limits.turn_poll_s)


async def _apply(connection: asyncpg.Connection, migration: Migration, limits: Limits) -> None:
    try:
        if not migration.transactional:
            await _run(connection, migration, limits)
            return
        async with connection.transaction():
            await _run(connection, migration, limits)
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise MigrationFailedError(_place(migration, error), _failure(migration, error, limits)) from error


async def _run(connection: asyncpg.Connection, migration: Migration, limits: Limits) -> None:
    await connection.execute(
        MIGRATIONS["bound_waits"],
        str(limits.lock_timeout_ms),
        str(limits.statement_timeout_ms),
        migration.transactional,
    )
    await connection.execute(migration.text, timeout=limits.file_timeout_s)
    await connection.execute(
        MIGRATIONS["record_applied"], migration.number, migration.name, migration.sha256, migration.needs
    )


def _failure(migration: Migration, error: Exception, limits: Limits) -> str:
    if isinstance(error, asyncpg.LockNotAvailableError):
        reason = f"waited {limits.lock_timeout_ms} ms for a lock that another session holds; try again later"
    elif isinstance(error, asyncpg.QueryCanceledError):
        reason = f"a statement ran for longer than {limits.statement_timeout_ms} ms"
    elif isinstance(error, TimeoutError):
        reason = f"the file ran for longer than {limits.file_timeout_s:g} s"
    else:
        reason = _reason(error)
    if migration.transactional:
        return reason
    return f"{reason}; it ran outside a transaction, so look for an invalid index to drop before trying again"


def _place(migration: Migration, error: Exception) -> str:
    position = getattr(error, "position", None)
    if not position:
        return migration.file
    line_number = migration.text.count("\n", 0, int(position) - 1) + 1
    return f"{migration.file}:{line_number}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _server(dsn: str) -> str:
    """Names host, port and database of a URL, and nothing secret."""
    parts = urlsplit(dsn)
    # There may be several, separated by commas, so that the library's own reading of a port would not do.
    hosts = parts.netloc.rpartition("@")[2]
    return f"{hosts or 'the local socket'}{parts.path}"


def _tell_nobody(_: str) -> None:
    """Stands in when the caller wants no progress."""
