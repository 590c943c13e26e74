"""Applies the migrations a database lacks, safely from many processes at once.

A migration is a file `NNNN_what.sql` in `sql/migrations`. Each is applied in one transaction together with
its row in `schema_migrations`, so that a failed one leaves nothing behind. A file whose first line is
`-- no-transaction` holds one statement that Postgres refuses inside a transaction, such as CREATE INDEX
CONCURRENTLY; write it with IF NOT EXISTS, because a crash can come between the statement and its record.

Processes take turns with a session advisory lock, so the URL must lead to Postgres itself and not to a pooler
that hands sessions around. The lock is polled: a session blocked on it would hold a snapshot, and CREATE
INDEX CONCURRENTLY waits for every older snapshot to go, so the two would deadlock
(https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).

    MigrationError
    ├── MigrationFileError          the files themselves are wrong: name, number, encoding
    ├── MigrationChangedError       an applied file was edited afterwards
    ├── MigrationOutOfOrderError    an unapplied file is numbered below an applied one
    ├── DatabaseNewerError          the database has migrations this version does not know
    ├── DatabaseUnreachableError    no connection within the deadline
    ├── MigrationBusyError          another process kept the turn for too long
    └── MigrationFailedError        Postgres refused a file, or a limit ran out
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from sql.loader import load_queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable
    from pathlib import Path

MIGRATIONS = load_queries("migrations")
# Any fixed number serves, as long as nothing else in the database takes the same one.
TURN_LOCK_KEY = 7_046_029_254_386_353_131
NO_TRANSACTION_MARKER = "-- no-transaction"
_FILE_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")


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


class MigrationError(Exception):
    """Base of every reason not to migrate; its text is one line for the operator."""


class MigrationFileError(MigrationError):
    """A migration's file cannot be used; `file` names it."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


class MigrationChangedError(MigrationError):
    """The file of an applied migration was edited; `file` names it."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f"{file} was edited after it was applied; restore it and add a new migration instead"
        )
        self.file = file


class MigrationOutOfOrderError(MigrationError):
    """`file` is new but numbered below `newest`, which the database already has."""

    def __init__(self, file: str, newest: str) -> None:
        super().__init__(f"{file} comes before {newest}, which is already applied; give it a higher number")
        self.file = file
        self.newest = newest


class DatabaseNewerError(MigrationError):
    """The database has migrations unknown here; `names` lists them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"the database has migrations this version does not know: {', '.join(names)}; use a newer version"
        )
        self.names = names


class DatabaseUnreachableError(MigrationError):
    """No connection could be made; the text names the server, never the password."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"cannot connect to the database at {server}: {reason}")
        self.server = server


class MigrationBusyError(MigrationError):
    """Another process held the turn for longer than `waited_s`."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"another process has been migrating this database for over {waited_s:g} s")
        self.waited_s = waited_s


class MigrationFailedError(MigrationError):
    """Postgres did not apply `file`."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` without its suffix, and the SHA-256 of its text with line ends as LF."""

    number: int
    name: str
    text: str
    sha256: str

    @property
    def file(self) -> str:
        """The file's name, as messages give it."""
        return f"{self.name}.sql"

    @property
    def transactional(self) -> bool:
        """Whether the file runs in one transaction with its record."""
        return self.text.partition("\n")[0].strip() != NO_TRANSACTION_MARKER


async def migrate(
    dsn: str,
    *,
    dry_run: bool = False,
    on_event: Callable[[str], None] | None = None,
    directory: Path | Traversable | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[str]:
    """Applies what the database lacks, in order, and returns the names applied.

    A dry run returns what would be applied and changes nothing. `on_event` gets one line per step.
    `directory` replaces the package's own migrations. Raises the errors drawn in this module's docstring.
    """
    tell = on_event or _tell_nobody
    known = read_migrations(directory or files("sql").joinpath("migrations"))
    connection = await _connect(dsn, limits)
    try:
        pending = await _pending(connection, known)
        if dry_run or not pending:
            return [migration.name for migration in pending]
        await _take_turn(connection, limits, tell)
        await connection.execute(MIGRATIONS["create_table"])
        # Whoever had the turn before may have done the work meanwhile.
        pending = await _pending(connection, known)
        for migration in pending:
            tell(f"applying {migration.name}")
            await _apply(connection, migration, limits)
        return [migration.name for migration in pending]
    except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError) as error:
        raise MigrationError(f"the migration stopped: {_reason(error)}") from error
    finally:
        await _close(connection, limits)


def read_migrations(directory: Path | Traversable) -> list[Migration]:
    """Reads the migrations of a directory in order.

    Raises MigrationFileError on a bad name or a number used twice.
    """
    migrations: dict[int, Migration] = {}
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationFileError(entry.name, "name it NNNN_what.sql, in lower case")
        number = int(match["number"])
        if number in migrations:
            raise MigrationFileError(entry.name, f"its number is taken by {migrations[number].file}")
        text = entry.read_text(encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        migrations[number] = Migration(number, entry.name.removesuffix(".sql"), text, sha256)
    return list(migrations.values())


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


async def _pending(connection: asyncpg.Connection, known: list[Migration]) -> list[Migration]:
    if not await connection.fetchval(MIGRATIONS["has_table"]):
        return known
    rows = await connection.fetch(MIGRATIONS["list_applied"])
    applied = {row["number"]: row for row in rows}
    unknown = sorted(applied.keys() - {migration.number for migration in known})
    if unknown:
        raise DatabaseNewerError([applied[number]["name"] for number in unknown])
    for migration in known:
        row = applied.get(migration.number)
        if row is not None and row["sha256"] != migration.sha256:
            raise MigrationChangedError(migration.file)
    pending = [migration for migration in known if migration.number not in applied]
    if pending and applied and pending[0].number < max(applied):
        raise MigrationOutOfOrderError(pending[0].file, applied[max(applied)]["name"])
    return pending


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
    await connection.execute(MIGRATIONS["record_applied"], migration.number, migration.name, migration.sha256)


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
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unreadable URL"
    return f"{parts.hostname or 'the local socket'}{port}{parts.path}"


def _tell_nobody(_: str) -> None:
    """Stands in when the caller wants no progress."""
