"""The parser of query files is strict, because a mistyped header would hide inside the statement above it."""

from pathlib import Path

import pytest

from sql import QueryFileError, UnknownQueryFileError, UnknownStatementError, load_queries
from sql.loader import Queries, parse_statements

FILE = "pintuan/theatre/seats/queries.sql"
TWO_STATEMENTS = """-- About seats.

-- name: count_seats
-- Counts the seats of a group.
SELECT count(*)
-- held ones too
FROM seat WHERE group_id = $1;

-- name: list_seats
-- Lists them.
SELECT * FROM seat;
"""


def test_statements_come_in_order_with_their_descriptions_and_sql() -> None:
    count, every = parse_statements("seats", TWO_STATEMENTS, file=FILE)

    assert (count.name, count.description) == ("count_seats", "Counts the seats of a group.")
    assert count.sql == (
        "/* seats.count_seats */\nSELECT count(*)\n-- held ones too\nFROM seat WHERE group_id = $1;"
    )
    assert (every.name, every.description) == ("list_seats", "Lists them.")


@pytest.mark.parametrize(
    ("text", "line_number", "reason"),
    [
        ("", 1, "no statement"),
        ("-- Only a comment.\n", 1, "no statement"),
        ("SELECT 1;\n-- name: one\n-- Says one.\nSELECT 1;", 1, "SQL before the first"),
        ("-- name: one\nSELECT 1;", 2, "'one' needs a line"),
        ("-- name: one", 2, "'one' needs a line"),
        ("-- name: one\n-- \nSELECT 1;", 2, "'one' needs a line"),
        ("-- name: one\n-- Says one.\n\n-- name: two\n-- Says two.\nSELECT 2;", 1, "'one' has no SQL"),
        ("-- name: one\n-- Says one.\n-- and no more", 1, "'one' has no SQL"),
        ("-- name: one\n-- Says.\nSELECT 1;\n-- name: one\n-- Again.\nSELECT 1;", 4, "'one' is taken"),
        ("-- Name: one\n-- Says one.\nSELECT 1;", 1, "-- name: a_name"),
        ("--name: one\n-- Says one.\nSELECT 1;", 1, "-- name: a_name"),
        ("-- name one\n-- Says one.\nSELECT 1;", 1, "-- name: a_name"),
        ("-- name: One\n-- Says one.\nSELECT 1;", 1, "-- name: a_name"),
        ("-- name:\n-- Says one.\nSELECT 1;", 1, "-- name: a_name"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_with_its_line(
    text: str, line_number: int, reason: str
) -> None:
    with pytest.raises(QueryFileError) as caught:
        parse_statements("seats", text, file=FILE)

    assert (caught.value.file, caught.value.line_number) == (FILE, line_number)
    assert str(caught.value).startswith(f"{FILE}:{line_number}: ")
    assert reason in str(caught.value)


def test_a_missing_statement_is_a_key_error_that_names_file_statement_and_what_there_is() -> None:
    seats = Queries(FILE, parse_statements("seats", TWO_STATEMENTS, file=FILE))

    with pytest.raises(KeyError) as caught:
        seats["drop_seats"]

    assert isinstance(caught.value, UnknownStatementError)
    assert str(caught.value) == f"{FILE} has no statement 'drop_seats'; it has: count_seats, list_seats"
    assert "drop_seats" not in seats
    assert seats.get("drop_seats") is None


@pytest.mark.parametrize(
    ("package", "name", "told"),
    [
        (
            "sql",
            "nothing_of_the_kind",
            "package 'sql' has no nothing_of_the_kind.sql; it has: migrations.sql",
        ),
        ("sql", "../sql/migrations", "package 'sql' has no ../sql/migrations.sql; it has: migrations.sql"),
        ("sql", "", "package 'sql' has no .sql; it has: migrations.sql"),
        ("sql.nowhere", "queries", "package 'sql.nowhere' has no queries.sql; it has: none"),
    ],
)
def test_a_missing_file_is_a_key_error_that_lists_those_the_package_has(
    package: str, name: str, told: str
) -> None:
    with pytest.raises(KeyError) as caught:
        load_queries(package, name)

    assert isinstance(caught.value, UnknownQueryFileError)
    assert str(caught.value) == told


def test_a_package_that_cannot_be_imported_for_what_it_lacks_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theatre").mkdir()
    (tmp_path / "theatre" / "__init__.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_queries("theatre")


def test_labels_bear_the_package_or_the_name_of_a_file_that_has_its_own() -> None:
    assert load_queries("pintuan.shop.deals")["select_deal"].startswith("/* deals.select_deal */\n")
    assert load_queries("groups.queries", "lanes")["lane_epoch"].startswith("/* lanes.lane_epoch */\n")


def test_a_file_is_read_once_per_process() -> None:
    assert load_queries("sql", "migrations") is load_queries("sql", "migrations")
