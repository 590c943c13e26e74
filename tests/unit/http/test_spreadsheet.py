"""A table opens in a spreadsheet as it was meant: in UTF-8, with amounts for people, and without formulas."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.http.spreadsheet import FORMULA_SIGNS, head_of, json_of, major, rows_of

# What a spreadsheet parts cells by depends on the language of its system, or on a person.
SEPARATORS = (",", ";", "\t")
TEXTS = st.text(st.sampled_from(";,\t\r\n\"'\\ =+-@\uff1d\uff0b\uff0d\uff20nx")) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0")
)


def read(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def is_formula(cell: str) -> bool:
    return cell.lstrip(' \t\r\n"').startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20"))


def test_a_table_begins_with_the_mark_by_which_utf_8_is_known() -> None:
    assert head_of(("time", "amount")).encode() == b"\xef\xbb\xbftime,amount\r\n"


@given(st.lists(TEXTS, min_size=2))
def test_no_text_is_a_formula_whatever_parts_cells(cells: list[str]) -> None:
    text = rows_of([["id", *cells]])
    for separator in SEPARATORS:
        assert not [cell for row in read(text, separator) for cell in row if is_formula(cell)]


@given(st.lists(TEXTS, min_size=2))
def test_no_text_is_lost_but_for_apostrophes(cells: list[str]) -> None:
    (row,) = read(rows_of([cells]))
    assert [cell.replace("'", "") for cell in row] == [cell.replace("'", "") for cell in cells]


@given(st.text(st.characters(codec="utf-8", exclude_characters=f"\0;\t\r\n{FORMULA_SIGNS}")))
def test_a_text_without_signs_stays_as_it_is(text: str) -> None:
    assert read(rows_of([(text, "x")])) == [[text, "x"]]


@pytest.mark.parametrize("start", [*FORMULA_SIGNS, "\t", "\r", "\n"])
def test_what_begins_a_formula_is_told_to_be_text(start: str) -> None:
    assert read(rows_of([(f"{start}1+1", "x")])) == [[f"'{start}1+1", "x"]]


@pytest.mark.parametrize("sign", FORMULA_SIGNS)
@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n"])
def test_what_begins_a_formula_behind_a_separator_is_told_to_be_text(separator: str, sign: str) -> None:
    assert read(rows_of([(f"x{separator}{sign}1", "x")])) == [[f"x{separator}'{sign}1", "x"]]
    assert read(rows_of([(f'x{separator} "{sign}1', "x")])) == [[f"x{separator}' \"{sign}1", "x"]]


@given(st.dictionaries(TEXTS, st.recursive(TEXTS | st.integers(-9, 9), st.lists, max_leaves=3)))
def test_json_means_what_it_meant_and_holds_no_formula(value: dict[str, object]) -> None:
    text = rows_of([("id", json_of(value))])
    ((_, cell),) = read(text)
    assert json.loads(cell) == value
    for separator in SEPARATORS:
        assert not [cell for row in read(text, separator) for cell in row if is_formula(cell)]


@pytest.mark.parametrize(
    ("amount_minor", "currency", "written"),
    [
        (1999, "USD", "19.99"),
        (-5, "EUR", "-0.05"),
        (1500, "JPY", "1500"),
        (1, "KWD", "0.001"),
        (0, "CLF", "0.0000"),
        (10**15, "USD", "10000000000000.00"),
        (None, "USD", ""),
    ],
)
def test_amounts_are_numbers_as_people_write_them(
    amount_minor: int | None, currency: str, written: str
) -> None:
    assert read(rows_of([(major(amount_minor, currency), "x")])) == [[written, "x"]]
