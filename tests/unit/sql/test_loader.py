"""The parser of query files is strict, because a mistyped header would hide inside the statement above it."""

import pytest

from sql import QueryFileError, UnknownNounError, UnknownStatementError, load_queries
from sql.loader import Queries, parse_statements

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
    count, every = parse_statements("seats", TWO_STATEMENTS)

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
        parse_statements("seats", text)

    assert (caught.value.file, caught.value.line_number) == ("seats.sql", line_number)
    assert reason in str(caught.value)


def test_a_missing_statement_is_a_key_error_that_names_noun_statement_and_what_there_is() -> None:
    seats = Queries("seats", parse_statements("seats", TWO_STATEMENTS))

    with pytest.raises(KeyError) as caught:
        seats["drop_seats"]

    assert isinstance(caught.value, UnknownStatementError)
    assert str(caught.value) == "seats.sql has no statement 'drop_seats'; it has: count_seats, list_seats"
    assert "drop_seats" not in seats
    assert seats.get("drop_seats") is None


@pytest.mark.parametrize("noun", ["nothing_of_the_kind", "../migrations/0001_catalog", ""])
def test_a_missing_noun_is_a_key_error_that_lists_the_known_ones(noun: str) -> None:
    with pytest.raises(UnknownNounError, match="migrations"):
        load_queries(noun)


def test_a_file_is_read_once_per_process() -> None:
    assert load_queries("migrations") is load_queries("migrations")
