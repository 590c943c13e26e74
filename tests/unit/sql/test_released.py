"""A released migration is never edited, and a released definition only with a higher version.

A database refuses such an edit too, but only when somebody's marketplace is brought up to date.
"""

from pathlib import Path

import pytest

from sql.schema import Schema, read_schema

RELEASED = Path(__file__).with_name("released.txt")
DEFINITION = "-- version: {version}\nCREATE OR REPLACE VIEW shown AS SELECT {columns} FROM shelf;\n"


def lines_of(schema: Schema) -> list[str]:
    """What `released.txt` says of each file."""
    migrations = [f"{migration.name} - {migration.sha256}" for migration in schema.migrations]
    return migrations + [f"{one.name} {one.version} {one.sha256}" for one in schema.definitions]


def edited_since(released: str, schema: Schema) -> list[str]:
    """The released files that are not as they were, though their version says so, or that are gone."""
    now = {name: (version, sha256) for name, version, sha256 in map(str.split, lines_of(schema))}
    edited = []
    for line in released.splitlines():
        if not line or line.startswith("#"):
            continue
        name, version, sha256 = line.split()
        version_now, sha256_now = now.get(name, ("-", ""))
        is_higher = version_now != "-" and int(version_now) > int(version)
        if (version_now, sha256_now) != (version, sha256) and not is_higher:
            edited.append(name)
    return edited


def test_what_was_released_is_as_it_was_or_of_a_higher_version() -> None:
    assert edited_since(RELEASED.read_text(), read_schema()) == []


@pytest.mark.parametrize(
    ("table", "version", "columns", "edited"),
    [
        ("shelf (id integer)", 1, "id", []),
        ("shelf (id bigint)", 1, "id", ["0001_shelf"]),
        ("shelf (id integer)", 1, "id, 1 AS one", ["definitions/shown"]),
        ("shelf (id integer)", 2, "id, 1 AS one", []),
        ("shelf (id integer)", None, "", ["definitions/shown"]),
    ],
)
def test_an_edit_is_named(
    tmp_path: Path, table: str, version: int | None, columns: str, edited: list[str]
) -> None:
    released = "\n".join(lines_of(schema_of(tmp_path / "released", "shelf (id integer)", 1, "id")))

    assert edited_since(released, schema_of(tmp_path / "now", table, version, columns)) == edited


def schema_of(directory: Path, table: str, version: int | None, columns: str) -> Schema:
    """A schema of one table and one view; without a version the view is gone."""
    migrations, definitions = directory / "migrations", directory / "definitions"
    for part in (migrations, definitions):
        part.mkdir(parents=True)
    (migrations / "0001_shelf.sql").write_text(f"CREATE TABLE {table};\n")
    if version is not None:
        (definitions / "shown.sql").write_text(DEFINITION.format(version=version, columns=columns))
    return read_schema(migrations, definitions)


if __name__ == "__main__":
    print("\n".join(lines_of(read_schema())))  # noqa: T201 - for a release to copy.
