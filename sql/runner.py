"""Applies the migrations and definitions a database lacks, safely from many processes at once.

Each migration is applied in one transaction together with its row in `schema_migrations`, so that a failed
one leaves nothing behind. A file whose first line is `-- no-transaction` holds one statement that Postgres
refuses inside a transaction, such as CREATE INDEX CONCURRENTLY; write it with IF NOT EXISTS, because a crash
can come between the statement and its record.

Processes take turns with a session advisory lock, so the URL must lead to Postgres itself and not to a pooler
that hands sessions around. The lock is polled: a session blocked on it would hold a snapshot, and CREATE
INDEX CONCURRENTLY waits for every older snapshot to go, so the two would deadlock
(https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).

A version also runs beside newer migrations than it knows, so that a release can be taken back, and an old
container that restarts during one comes up again. The record of a file that takes something away says which
migration a version must know, and only a version that does not refuses (`sql.migration_files`).

Definitions come after the migrations: those of a higher version than the database's, in one transaction
with their rows in `schema_definitions`. A migration that stands on some (`-- uses:`) has them first, in its
own transaction and unrecorded, so that all of them are checked and recorded at the end. A definition that a
later version applied is left alone (`sql.schema`).

Raised are the errors drawn in `sql.migration_errors`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from sql.definition_files import Definition, used_by
from sql.loader import load_queries
from sql.migration_errors import (
    DatabaseUnreachableError,
    MigrationBusyError,
    MigrationError,
    MigrationFailedError,
)
from sql.schema import compare, read_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from sql.migration_files import Migration

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
    definitions: Path | Traversable | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[str]:
    """Applies what the database lacks, in order, and returns the names applied, such as `definitions/clock`.

    A dry run returns what would be applied and changes nothing. `on_event` gets one line per step. `on_newer`
    gets the names of a later version's migrations and definitions, which this version runs beside, where
    there are any. `directory` and `definitions` replace the package's own files. Raises the errors drawn in
    `sql.migration_errors`.
    """
    tell = on_event or _tell_nobody
    known = read_schema(directory, definitions)
    connection = await _connect(dsn, limits)
    try:
        difference = await compare(connection, known)
        if difference.newer and on_newer:
            on_newer(difference.newer)
        if dry_run or not difference.lacking:
            return difference.lacking
        await _take_turn(connection, limits, tell)
        await connection.execute(MIGRATIONS["create_table"])
        await connection.execute(MIGRATIONS["create_definitions_table"])
        # The holder of the turn before may have done the work meanwhile.
        difference = await compare(connection, known)
        for migration in difference.migrations:
            tell(f"applying {migration.name}")
            await _apply(connection, migration, used_by(migration.uses, difference.definitions), limits)
        await _define(connection, difference.definitions, limits, tell)
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise MigrationError(f"the migration stopped: {_reason(error)}") from error
    else:
        return difference.lacking
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


async def _close(connection: asyncpg.Connection, limits: Limits) -> None:
    """Ends the session, which gives the turn back."""
    # asyncpg aborts the connection when a polite close takes too long, which ends the session as well.
    with suppress(TimeoutError):
        await connection.close(timeout=limits.command_timeout_s)


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


async def _apply(
    connection: asyncpg.Connection, migration: Migration, uses: list[Definition], limits: Limits
) -> None:
    try:
        if not migration.transactional:
            await _run(connection, migration, limits)
            return
        async with connection.transaction():
            await _prepare(connection, uses, limits)
            await _run(connection, migration, limits)
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise _failed(migration, error, limits) from error


async def _run(connection: asyncpg.Connection, migration: Migration, limits: Limits) -> None:
    await _bound_waits(connection, limits, in_transaction=migration.transactional)
    await connection.execute(migration.text, timeout=limits.file_timeout_s)
    await connection.execute(
        MIGRATIONS["record_applied"], migration.number, migration.name, migration.sha256, migration.needs
    )


async def _prepare(connection: asyncpg.Connection, uses: list[Definition], limits: Limits) -> None:
    """Makes the functions that a migration stands on; tables that they read may still be to come."""
    if not uses:
        return
    await _bound_waits(connection, limits, in_transaction=True)
    await connection.execute(MIGRATIONS["check_bodies"], "off")
    for definition in uses:
        await _run_definition(connection, definition, limits)
    await connection.execute(MIGRATIONS["check_bodies"], "on")


async def _define(
    connection: asyncpg.Connection,
    definitions: list[Definition],
    limits: Limits,
    tell: Callable[[str], None],
) -> None:
    """Applies definitions in one transaction, so that nobody sees some of them new and others old."""
    if not definitions:
        return
    async with connection.transaction():
        await _bound_waits(connection, limits, in_transaction=True)
        for definition in definitions:
            tell(f"applying {definition.name}")
            await _run_definition(connection, definition, limits)
            await connection.execute(
                MIGRATIONS["record_definition"], definition.key, definition.version, definition.sha256
            )


async def _run_definition(connection: asyncpg.Connection, definition: Definition, limits: Limits) -> None:
    try:
        await connection.execute(definition.text, timeout=limits.file_timeout_s)
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise _failed(definition, error, limits) from error


async def _bound_waits(connection: asyncpg.Connection, limits: Limits, *, in_transaction: bool) -> None:
    await connection.execute(
        MIGRATIONS["bound_waits"],
        str(limits.lock_timeout_ms),
        str(limits.statement_timeout_ms),
        in_transaction,
    )


def _failed(part: Migration | Definition, error: Exception, limits: Limits) -> MigrationFailedError:
    return MigrationFailedError(_place(part, error), _failure(part, error, limits))


def _failure(part: Migration | Definition, error: Exception, limits: Limits) -> str:
    if isinstance(error, asyncpg.LockNotAvailableError):
        reason = f"waited {limits.lock_timeout_ms} ms for a lock that another session holds; try again later"
    elif isinstance(error, asyncpg.QueryCanceledError):
        reason = f"a statement ran for longer than {limits.statement_timeout_ms} ms"
    elif isinstance(error, TimeoutError):
        reason = f"the file ran for longer than {limits.file_timeout_s:g} s"
    else:
        reason = _reason(error)
    if isinstance(part, Definition) or part.transactional:
        return reason
    return f"{reason}; it ran outside a transaction, so look for an invalid index to drop before trying again"


def _place(part: Migration | Definition, error: Exception) -> str:
    position = getattr(error, "position", None)
    if not position:
        return part.file
    line_number = part.text.count("\n", 0, int(position) - 1) + 1
    return f"{part.file}:{line_number}"


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
