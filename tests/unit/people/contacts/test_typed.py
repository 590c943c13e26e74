"""What people type is taken for what it was meant to be, and nothing else is."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.base.errors import InvalidInput
from pintuan.people.contacts import typed
from pintuan.people.contacts.contacts import contact_in, contact_of

# Marks that surround a text without being seen, as books of addresses, chats and editors put them there.
MARKS = "\u200e\u200f\u202a\u202c\u202d\u202e\u2066\u2068\u2069\u061c\u200b\u2060\ufeff\u00ad\ufe0f\u034f"
BLANKS = " \t\u00a0\u2007\u2009\u202f\u3000"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\u30fc\ufe63"
# The first digit of scripts that phones have keyboards for, beside Latin.
ZEROS = "\u0660\u06f0\u0966\u09e6\u0e50\u17e0\u1040\uff10"
unseen = st.text(st.sampled_from(MARKS + BLANKS), max_size=5)


def test_the_marks_and_digits_tried_are_what_their_names_say() -> None:
    assert {unicodedata.category(mark) for mark in MARKS} == {"Cf", "Mn"}
    assert all(blank.isspace() for blank in BLANKS)
    assert all(unicodedata.decimal(zero) == 0 for zero in ZEROS)


@given(
    unseen,
    unseen,
    st.sampled_from(["ann@shop.example", "Ann@Shop.Example", "\uff41nn\uff20shop\uff0eexample"]),
)
def test_what_is_not_seen_around_an_address_makes_no_other_one(before: str, after: str, address: str) -> None:
    for contact in (
        contact_of(before + address + after, None, fictional=True),
        contact_in(before + address + after, fictional=True),
    ):
        assert (contact.kind, contact.address) == ("email", "ann@shop.example")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_within_an_address_makes_no_other_one(mark: str) -> None:
    assert contact_of(f"a{mark}nn@shop{mark}.example", None, fictional=True).address == "ann@shop.example"


@pytest.mark.parametrize("text", ["ann lee@shop.example", "ann\u00a0@shop.example", "ann@shop. example"])
def test_a_blank_within_an_address_is_not_guessed_away(text: str) -> None:
    with pytest.raises(InvalidInput):
        contact_of(text, None, fictional=True)


def test_joiners_stay_where_a_name_is_written_with_them_and_go_where_they_shape_nothing() -> None:
    name = "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc"
    assert typed.seen(f"{name}\u200c") == name
    assert typed.seen("\u200dann\u200c@shop.example\u200d") == "ann@shop.example"
    # Without it the name is another one, which may be somebody else's.
    with pytest.raises(InvalidInput):
        contact_of(f"ann@{name}.example", None, fictional=True)


@given(
    st.sampled_from("0" + ZEROS),
    st.sampled_from(DASHES + BLANKS),
    unseen,
    st.sampled_from(["+", "\uff0b", "\ufe62"]),
)
def test_a_phone_number_is_read_in_the_digits_of_any_script(
    zero: str, between: str, around: str, plus: str
) -> None:
    digits = "".join(chr(ord(zero) + int(digit)) for digit in "4155552671")
    one = chr(ord(zero) + 1)
    text = f"{around}{plus}{one}{between}{digits[:3]}{between}{digits[3:]}{around}"
    for contact in (contact_of(None, text, fictional=False), contact_in(text, fictional=False)):
        assert (contact.kind, contact.address) == ("phone", "+14155552671")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("(+1) 415 555 2671", "+14155552671"),
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("+49 30/901820", "+4930901820"),
        ("\u202a+1\u00a0(415)\u00a0555\u20112671\u202c", "+14155552671"),
        (
            "\uff0b\uff11\uff08\uff14\uff11\uff15\uff09\uff15\uff15\uff15\uff12\uff16\uff17\uff11",
            "+14155552671",
        ),
    ],
)
def test_numbers_are_taken_as_they_stand_in_books_of_addresses(text: str, number: str) -> None:
    assert contact_of(None, text, fictional=False).address == number


@given(st.from_regex(r"[0-9]{6}", fullmatch=True), st.sampled_from("0" + ZEROS), st.data())
def test_a_code_is_read_with_whatever_stands_between_its_digits(
    code: str, zero: str, data: st.DataObject
) -> None:
    gaps = st.text(st.sampled_from(MARKS + BLANKS + DASHES + "."), max_size=2)
    spelt = "".join(data.draw(gaps) + chr(ord(zero) + int(digit)) for digit in code) + data.draw(gaps)
    assert typed.code(spelt) == code


@pytest.mark.parametrize(
    "text", ["12345", "1234567", "12345O", "l23456", "\u2460\u2461\u2462\u2463\u2464\u2465", ""]
)
def test_a_code_is_made_of_nothing_but_its_digits(text: str) -> None:
    assert re.fullmatch("[0-9]{6}", typed.code(text)) is None


@given(st.text(max_size=100))
def test_reading_twice_reads_the_same(text: str) -> None:
    for read in (typed.seen, typed.number, typed.code):
        assert read(read(text)) == read(text)
