"""Functions and views on a real Postgres: applied after the migrations, again when newer, never put back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from sql import migrate
from sql.migration_errors import DefinitionChangedError, MigrationFailedError, MigrationFileError

pytestmark = pytest.mark.anyio

RUNNERS = 8
FIRST = ["0001_shelf", "definitions/rules", "definitions/shown"]
RULES = """-- Rules of the shelf.
-- version: {version}

CREATE OR REPLACE FUNCTION width_of(id integer) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN id * {factor};

-- It reads a table that is made by the migration that uses this file.
CREATE OR REPLACE FUNCTION widest() RETURNS integer
LANGUAGE sql STABLE
AS $$ SELECT max(width) FROM shelf $$;
"""
SHELF = """-- uses: rules
CREATE TABLE shelf (id integer, width integer GENERATED ALWAYS AS (width_of(id)) STORED);
INSERT INTO shelf VALUES (1);
"""
SHOWN = """-- version: {version}
-- uses: rules
CREATE OR REPLACE VIEW shown AS SELECT id, widest() AS widest{more} FROM shelf;
"""


class Version:
    """The files of one version of a schema."""

    def __init__(self, directory: Path) -> None:
        self.migrations = directory / "migrations"
        self.definitions = directory / "definitions"
        for part in (self.migrations, self.definitions):
            part.mkdir(parents=True)
        self.write("0001_shelf", SHELF)
        self.define("rules", RULES.format(version=1, factor=10))
        self.define("shown", SHOWN.format(version=1, more=""))

    def write(self, name: str, text: str) -> None:
        (self.migrations / f"{name}.sql").write_text(text)

    def define(self, key: str, text: str) -> None:
        (self.definitions / f"{key}.sql").write_text(text)

    async def migrate(self, url: str, *, dry_run: bool = False) -> tuple[list[str], list[str]]:
        """What was applied, and what is newer than this version."""
        newer: list[str] = []
        applied = await migrate(
            url,
            directory=self.migrations,
            definitions=self.definitions,
            dry_run=dry_run,
            on_newer=newer.extend,
        )
        return applied, newer


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's session on that database."""
    connection = await asyncpg.connect(empty_database_url, command_timeout=10)
    yield connection
    await connection.close()


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return Version(tmp_path / "first")


@pytest.fixture
def later(tmp_path: Path) -> Version:
    """A release later: a view with a column more, and a function that answers otherwise."""
    later = Version(tmp_path / "later")
    later.define("shown", SHOWN.format(version=2, more=", width_of(id) AS width"))
    later.define("more", "-- version: 1\nCREATE OR REPLACE VIEW more AS SELECT id FROM shelf;\n")
    return later


async def test_a_table_stands_on_functions_and_a_view_on_the_table(
    empty_database_url: str, version: Version, connection: asyncpg.Connection
) -> None:
    assert await version.migrate(empty_database_url, dry_run=True) == (FIRST, [])
    assert await connection.fetchval("SELECT to_regclass('schema_definitions')") is None
    assert await version.migrate(empty_database_url) == (FIRST, [])
    assert await version.migrate(empty_database_url) == ([], [])

    assert await connection.fetchval("SELECT row(s.*)::text FROM shown s") == "(1,10)"
    recorded = await connection.fetch("SELECT name, version FROM schema_definitions ORDER BY name")
    assert [tuple(row) for row in recorded] == [("rules", 1), ("shown", 1)]


async def test_eight_runners_at_once_apply_each_definition_once(
    empty_database_url: str, version: Version, later: Version
) -> None:
    results = await asyncio.gather(*(version.migrate(empty_database_url) for _ in range(RUNNERS)))
    assert sorted(applied for applied, _ in results) == [[]] * (RUNNERS - 1) + [FIRST]

    results = await asyncio.gather(*(later.migrate(empty_database_url) for _ in range(RUNNERS)))
    changed = ["definitions/more", "definitions/shown"]
    assert sorted(sorted(applied) for applied, _ in results) == [[]] * (RUNNERS - 1) + [changed]


async def test_an_older_process_that_starts_later_puts_nothing_back(
    empty_database_url: str, version: Version, later: Version, connection: asyncpg.Connection
) -> None:
    await version.migrate(empty_database_url)
    await later.migrate(empty_database_url)

    newer = ["definitions/more", "definitions/shown"]
    assert await version.migrate(empty_database_url) == ([], newer)
    assert await connection.fetchval("SELECT row(s.*)::text FROM shown s") == "(1,10,10)"
    assert await later.migrate(empty_database_url) == ([], [])


async def test_both_versions_at_once_end_with_the_later_ones(
    empty_database_url: str, version: Version, later: Version, connection: asyncpg.Connection
) -> None:
    await asyncio.gather(
        *(one.migrate(empty_database_url) for _ in range(RUNNERS // 2) for one in (version, later))
    )

    assert await connection.fetchval("SELECT row(s.*)::text FROM shown s") == "(1,10,10)"
    recorded = await connection.fetch("SELECT name, version FROM schema_definitions ORDER BY name")
    assert [tuple(row) for row in recorded] == [("more", 1), ("rules", 1), ("shown", 2)]


async def test_an_older_process_finds_a_database_that_a_later_version_made(
    empty_database_url: str, version: Version, later: Version
) -> None:
    await later.migrate(empty_database_url)

    assert await version.migrate(empty_database_url) == ([], ["definitions/more", "definitions/shown"])


async def test_a_later_migration_has_the_functions_it_uses_before_it(
    empty_database_url: str, version: Version, later: Version, connection: asyncpg.Connection
) -> None:
    await version.migrate(empty_database_url)
    rules = RULES.format(version=2, factor=10)
    later.define(
        "rules", rules + "CREATE OR REPLACE FUNCTION half(n integer) RETURNS integer RETURN n / 2;\n"
    )
    later.write("0002_half", "-- uses: rules\nALTER TABLE shelf ADD half integer DEFAULT half(9);\n")

    applied, _ = await later.migrate(empty_database_url)

    assert applied == ["0002_half", "definitions/more", "definitions/rules", "definitions/shown"]
    assert await connection.fetchval("SELECT half FROM shelf") == 4


async def test_a_definition_that_was_edited_and_kept_its_version_is_refused_by_name(
    empty_database_url: str, version: Version
) -> None:
    await version.migrate(empty_database_url)
    version.define("shown", SHOWN.format(version=1, more=", 1 AS one"))

    for dry_run in (True, False):
        with pytest.raises(
            DefinitionChangedError, match=r"^definitions/shown\.sql differs from version 1 of it"
        ):
            await version.migrate(empty_database_url, dry_run=dry_run)


async def test_other_line_ends_are_no_edit(empty_database_url: str, version: Version) -> None:
    await version.migrate(empty_database_url)
    file = version.definitions / "shown.sql"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    assert await version.migrate(empty_database_url) == ([], [])


async def test_a_failing_definition_names_its_line_and_leaves_none_of_them_changed(
    empty_database_url: str, version: Version, later: Version, connection: asyncpg.Connection
) -> None:
    await version.migrate(empty_database_url)
    later.define("shown", SHOWN.format(version=2, more=", nowhere"))

    with pytest.raises(MigrationFailedError, match=r'^definitions/shown\.sql:3: column "nowhere" does not'):
        await later.migrate(empty_database_url)

    assert await connection.fetchval("SELECT to_regclass('more')") is None
    assert await version.migrate(empty_database_url) == ([], [])


async def test_a_function_whose_table_never_comes_is_found_at_the_end(
    empty_database_url: str, version: Version, connection: asyncpg.Connection
) -> None:
    version.define("rules", RULES.format(version=1, factor=10).replace("FROM shelf", "FROM nowhere"))

    with pytest.raises(
        MigrationFailedError, match=r'^definitions/rules\.sql:\d+: relation "nowhere" does not'
    ):
        await version.migrate(empty_database_url)

    assert await connection.fetchval("SELECT count(*) FROM schema_definitions") == 0


async def test_a_function_a_migration_uses_and_that_fails_leaves_nothing_of_either(
    empty_database_url: str, version: Version, connection: asyncpg.Connection
) -> None:
    version.define("rules", RULES.format(version=1, factor="nothing"))

    with pytest.raises(MigrationFailedError, match=r'^definitions/rules\.sql:6: column "nothing" does not'):
        await version.migrate(empty_database_url)

    assert await connection.fetchval("SELECT count(*) FROM schema_migrations") == 0
    assert await connection.fetchval("SELECT to_regclass('shelf')") is None


async def test_a_use_of_a_file_that_is_not_there_is_refused_before_anything_runs(
    empty_database_url: str, version: Version, connection: asyncpg.Connection
) -> None:
    version.write("0002_more", "-- uses: rules, nothing\nSELECT 1;\n")

    with pytest.raises(
        MigrationFileError, match=r"^0002_more\.sql: uses definitions/nothing\.sql, which is not"
    ):
        await version.migrate(empty_database_url)

    assert await connection.fetchval("SELECT to_regclass('shelf')") is None
