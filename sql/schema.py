"""The schema that this version knows, and the comparison of a database with it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sql.definition_files import Definition, read_definitions, require_known
from sql.loader import load_queries
from sql.migration_errors import (
    DatabaseNewerError,
    DatabaseUnreleasedError,
    DefinitionChangedError,
    MigrationChangedError,
    MigrationOutOfOrderError,
)
from sql.migration_files import Migration, read_migrations

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

    import asyncpg

MIGRATIONS = load_queries(__package__, "migrations")
# The first migration of the time before the first release.
UNRELEASED_FIRST: Final = "0001_catalog"


@dataclass(frozen=True, slots=True)
class Schema:
    """Migrations in the order of their numbers, and definitions in one that has each after those it uses."""

    migrations: list[Migration]
    definitions: list[Definition]


@dataclass(frozen=True, slots=True)
class Difference:
    """A database's missing migrations and definitions, and the names of later ones that this version runs
    beside.
    """

    migrations: list[Migration]
    definitions: list[Definition]
    newer: list[str]

    @property
    def lacking(self) -> list[str]:
        """The names of the files to apply, migrations before definitions."""
        migrations = [migration.name for migration in self.migrations]
        return migrations + [definition.name for definition in self.definitions]


def read_schema(
    migrations: Path | Traversable | None = None, definitions: Path | Traversable | None = None
) -> Schema:
    """Reads the package's files, or those of other directories; migrations alone have no definitions.

    Raises MigrationFileError.
    """
    known = Schema(
        read_migrations(migrations or files("sql").joinpath("migrations")),
        read_definitions(definitions or files("sql").joinpath("definitions"))
        if definitions or not migrations
        else [],
    )
    by_key = {definition.key: definition for definition in known.definitions}
    for migration in known.migrations:
        require_known(migration.file, migration.uses, by_key)
    return known


async def compare(connection: asyncpg.Connection, known: Schema) -> Difference:
    """Compares a database with the schema; changes nothing.

    Raises DatabaseUnreleasedError, DatabaseNewerError, MigrationChangedError, MigrationOutOfOrderError and
    DefinitionChangedError.
    """
    if not await connection.fetchval(MIGRATIONS["has_table"]):
        return Difference(known.migrations, known.definitions, [])
    if await connection.fetchval(MIGRATIONS["first_applied"]) == UNRELEASED_FIRST:
        raise DatabaseUnreleasedError
    pending, newer = _compare_migrations(await connection.fetch(MIGRATIONS["list_applied"]), known.migrations)
    rows = []
    if await connection.fetchval(MIGRATIONS["has_definitions_table"]):
        rows = await connection.fetch(MIGRATIONS["list_definitions"])
    lacking, later = _compare_definitions(rows, known.definitions)
    return Difference(pending, lacking, newer + later)


async def missing_from(
    connection: asyncpg.Connection | asyncpg.Pool, known: Schema, *, timeout_s: float | None = None
) -> list[str] | None:
    """Returns the names of files a database lacks; None if it has no record at all. Refuses nothing.

    Each statement has `timeout_s`. Raises what asyncpg raises.
    """
    if not await connection.fetchval(MIGRATIONS["has_table"], timeout=timeout_s):
        return None
    rows = await connection.fetch(MIGRATIONS["list_applied"], timeout=timeout_s)
    applied = {row["name"] for row in rows}
    missing = [migration.name for migration in known.migrations if migration.name not in applied]
    if missing:
        return missing
    rows = await connection.fetch(MIGRATIONS["list_definitions"], timeout=timeout_s)
    versions = {row["name"]: row["version"] for row in rows}
    return [one.name for one in known.definitions if versions.get(one.key, 0) < one.version]


def _compare_migrations(
    rows: list[asyncpg.Record], known: list[Migration]
) -> tuple[list[Migration], list[str]]:
    """Returns what the database lacks, and the names of newer migrations that it has and we run beside."""
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
    # An unknown migration numbered below our newest is of another line, not of a later version; nobody
    # promised anything about it.
    breaking = [
        row["name"]
        for row in newer
        if row["number"] < newest or (row["needs"] is not None and row["needs"] > newest)
    ]
    if breaking:
        raise DatabaseNewerError(breaking)
    return [row["name"] for row in newer]


def _compare_definitions(
    rows: list[asyncpg.Record], known: list[Definition]
) -> tuple[list[Definition], list[str]]:
    """Returns the definitions that the database lacks or has older, and the names of newer ones.

    A definition that is newer in the database is left alone: it serves this version too, and putting the
    older text back would take from the later version's processes what they stand on.
    """
    applied = {row["name"]: row for row in rows}
    pending, newer = [], []
    for definition in known:
        row = applied.pop(definition.key, None)
        if row is None or row["version"] < definition.version:
            pending.append(definition)
        elif row["version"] > definition.version:
            newer.append(definition.name)
        elif row["sha256"] != definition.sha256:
            raise DefinitionChangedError(definition.file, definition.version)
    # No file is ever deleted, so a key that this version lacks is a later version's.
    return pending, sorted([*newer, *(f"definitions/{key}" for key in applied)])
