"""What the files of definitions say of themselves, and that they only make functions and views."""

import re
from pathlib import Path

import pytest

from sql.definition_files import read_definitions, used_by
from sql.migration_errors import MigrationFileError
from sql.schema import read_schema

# Statements begin at the left margin; bodies of functions are indented, but for these words of theirs.
STATEMENT = re.compile(r"^[A-Z]+\b.*", re.MULTILINE)
MAKES = re.compile(
    r"CREATE OR REPLACE (FUNCTION|VIEW) "
    r"|(LANGUAGE|RETURN|AS \$\$|BEGIN$|DECLARE$|END$)"
    # The query of a view.
    r"|(SELECT|FROM|CROSS JOIN|JOIN|LEFT JOIN|WHERE|UNION ALL)\b"
)
EVERY_COLUMN = re.compile(r"\bSELECT\s+(\w+\.)?\*")


def test_definitions_only_make_functions_and_views_and_make_them_again() -> None:
    others = [
        f"{definition.file}: {statement[0]}"
        for definition in read_schema().definitions
        for statement in STATEMENT.finditer(definition.text)
        if MAKES.match(statement[0]) is None
    ]
    assert others == [], "tables and what is taken away belong into a migration"


def test_views_name_their_columns() -> None:
    every = [d.file for d in read_schema().definitions if EVERY_COLUMN.search(d.text)]
    assert every == [], "a column that a migration adds later would be in new databases alone"


def test_no_migration_makes_what_belongs_into_a_definition() -> None:
    makes = re.compile(r"^CREATE (OR REPLACE )?(FUNCTION|VIEW) ", re.MULTILINE)
    assert [migration.file for migration in read_schema().migrations if makes.search(migration.text)] == []


def test_each_definition_comes_after_those_it_uses(tmp_path: Path) -> None:
    write(tmp_path, "deals", "-- version: 7\n-- uses: shelf, clock\n")
    write(tmp_path, "clock", "-- version: 1\n")
    write(tmp_path, "shelf", "-- A shelf.\n-- version: 3\n-- uses: clock\n")
    write(tmp_path, "alone", "-- version: 1\n")

    definitions = read_definitions(tmp_path)

    keys = [definition.key for definition in definitions]
    assert sorted(keys) == ["alone", "clock", "deals", "shelf"]
    assert keys.index("clock") < keys.index("shelf") < keys.index("deals")
    assert {definition.key: definition.version for definition in definitions}["deals"] == 7
    assert [definition.key for definition in used_by(["deals"], definitions)] == ["clock", "shelf", "deals"]


def test_files_that_use_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "deals", "-- version: 1\n-- uses: shelf\n")
    write(tmp_path, "shelf", "-- version: 1\n-- uses: deals\n")
    with pytest.raises(MigrationFileError, match=r"^definitions/\w+\.sql: uses itself: \w+ -> \w+ -> \w+$"):
        read_definitions(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "-- version: 0\n", "-- version: x\n", "-- version:\n", "-- version: 1\n-- version: 2\n"]
)
def test_a_file_without_one_version_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, "deals", text)
    with pytest.raises(MigrationFileError, match=r"^definitions/deals\.sql: mark it once, as -- version: N"):
        read_definitions(tmp_path)


def test_a_badly_named_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "Deals-1", "-- version: 1\n")
    with pytest.raises(MigrationFileError, match=r"^definitions/Deals-1\.sql: name it <noun>\.sql"):
        read_definitions(tmp_path)


def write(directory: Path, key: str, text: str) -> None:
    (directory / f"{key}.sql").write_text(text)
