"""Databases that tests borrow: each is a copy of a migrated template, emptied between two tests.

A copy takes many times as long as emptying, so a database is used again. Rows are deleted;
only a table that grew is truncated, because new files take longer than a few rows. Whatever else a test may
have changed is noticed, be it the schema, settings or statistics, and such a database is dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import asyncpg

if TYPE_CHECKING:
    from pintuan.base.stores.embedded import EmbeddedPostgres

COMMAND_TIMEOUT_S: Final = 10.0
# Deleted rows stay in a table's file, and no test should have to read those of many others.
FILE_SIZE_MAX: Final = 256 * 1024

# ruff: noqa: S608 - names of tables, all of them the catalog's own, are put into statements.

# A row of these that was added, changed or dropped has another count or a younger transaction.
CATALOGS: Final = (
    "pg_namespace",
    "pg_attribute",
    "pg_attrdef",
    "pg_constraint",
    "pg_index",
    "pg_proc",
    "pg_trigger",
    "pg_type",
    "pg_event_trigger",
    "pg_db_role_setting",
    "pg_statistic",
    "pg_statistic_ext",
)
_FINGERPRINT: Final = (
    "SELECT array_agg(part ORDER BY part) FROM ("
    + " UNION ALL ".join(
        f"SELECT '{name}:' || count(*) || ':' || coalesce(max(xmin::text::bigint), 0) AS part FROM {name}"
        for name in CATALOGS
    )
    + " UNION ALL SELECT 'options:' || string_agg(relname || reloptions::text, ',' ORDER BY relname)"
    " FROM pg_class WHERE reloptions IS NOT NULL"
    " UNION ALL SELECT 'migrations:' || string_agg(m::text, ',' ORDER BY m::text) FROM schema_migrations m"
    " UNION ALL SELECT 'definitions:' || string_agg(d::text, ',' ORDER BY d::text)"
    " FROM schema_definitions d) parts"
)
_TABLES: Final = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    # What migrations put there and nothing else may.
    " AND tablename NOT IN ('schema_migrations', 'schema_definitions', 'card_keys', 'listeners')"
)
_END_OTHERS: Final = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Databases:
    """The databases of one server that are copies of one template, which must not change any more."""

    def __init__(self, server: EmbeddedPostgres, maintenance: asyncpg.Connection, *, template: str) -> None:
        self._server = server
        self._maintenance = maintenance
        self._template = template
        self._clean: list[_Database] = []

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[str]:
        """The URL of an empty, migrated database that nobody else has, for the life of the block."""
        database = self._clean.pop() if self._clean else await self._copy()
        yield self._server.url_of(database.name)
        if await database.emptied():
            self._clean.append(database)
        else:
            await self._drop(database)

    async def close(self) -> None:
        """Drops the databases that are not lent."""
        while self._clean:
            await self._drop(self._clean.pop())

    async def _copy(self) -> _Database:
        name = f"test_{uuid4().hex}"
        await self._maintenance.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        connection = await asyncpg.connect(self._server.url_of(name), command_timeout=COMMAND_TIMEOUT_S)
        return await _Database.read(name, connection)

    async def _drop(self, database: _Database) -> None:
        await database.connection.close()
        await self._maintenance.execute(f"DROP DATABASE {database.name} WITH (FORCE)")


class _Database:
    """A copy of the template, with the connection that empties it."""

    def __init__(
        self, name: str, connection: asyncpg.Connection, tables: list[str], fingerprint: list[str]
    ) -> None:
        self.name = name
        self.connection = connection
        self._filled = " UNION ALL ".join(
            f"SELECT '{table}' AS name, pg_relation_size('{table}') AS size"
            f" WHERE EXISTS (SELECT FROM {table})"
            for table in tables
        )
        self._fingerprint = fingerprint

    @classmethod
    async def read(cls, name: str, connection: asyncpg.Connection) -> _Database:
        # Triggers that keep a table append-only, or count what is deleted, do not fire for it.
        await connection.execute("SET session_replication_role = replica")
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        return cls(name, connection, tables, await connection.fetchval(_FINGERPRINT))

    async def emptied(self) -> bool:
        """Empties the database, and says whether it is as it was when it was made."""
        await self.connection.execute(_END_OTHERS)
        if await self.connection.fetchval(_FINGERPRINT) != self._fingerprint:
            return False
        filled = await self.connection.fetch(self._filled)
        if filled:
            await self.connection.execute("; ".join(map(_emptying, filled)))
        return True


def _emptying(table: asyncpg.Record) -> str:
    if table["size"] > FILE_SIZE_MAX:
        return f"TRUNCATE {table['name']} CASCADE"
    return f"DELETE FROM {table['name']}"
