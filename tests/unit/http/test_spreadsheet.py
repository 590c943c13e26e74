"""A table opens in a spreadsheet as it was meant: in UTF-8, with amounts for people, and without formulas."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.http.spreadsheet import FORMULA_STARTS, head_of, major, rows_of


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_table_begins_with_the_mark_by_which_utf_8_is_known() -> None:
    assert head_of(("time", "amount")).encode() == b"\xef\xbb\xbftime,amount\r\n"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2))
def test_no_text_is_a_formula_and_none_is_lost(cells: list[str]) -> None:
    (row,) = read(rows_of([cells]))
    for written, cell in zip(row, cells, strict=True):
        assert written == (f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell)


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_what_begins_a_formula_is_told_to_be_text(start: str) -> None:
    assert read(rows_of([(f"{start}1+1", "x")])) == [[f"'{start}1+1", "x"]]


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
