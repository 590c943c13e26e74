"""A contact is compared in its normal form only."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.base.errors import InvalidInput
from pintuan.base.keyring import Keyring
from pintuan.people.contacts.contacts import Contact, contact_of

KEYS = ("the key that is in use now, for contacts", "the key that was in use before, for contacts")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("ann+tea@example.com", "ann+tea@example.com"),
        ("ANN@bücher.example.com", "ann@bücher.example.com"),
        ("ann@xn--bcher-kva.example.com", "ann@bücher.example.com"),
        # A and its accent in two characters, then in one (NFC).
        ("A\u0301nn@example.com", "\u00e1nn@example.com"),
    ],
)
def test_an_email_address_has_one_form(text: str, normal: str) -> None:
    assert contact_of(text, None, fictional=False) == Contact("email", normal)


@pytest.mark.parametrize(
    "text", ["+12025550123", "+1 202-555-0123", " +1 (202) 555 0123", "＋１２０２５５５０１２３"]
)
def test_a_phone_number_has_one_form(text: str) -> None:
    assert contact_of(None, text, fictional=False) == Contact("phone", "+12025550123")


@pytest.mark.parametrize(
    "text",
    [
        "call +12025550123",
        "+1800FLOWERS",
        "tel:+12025550123",
        "+12025550123 ext. 5",
        "+12025550123;isub=1",
        "+",
        "",
    ],
)
def test_a_number_inside_of_a_text_is_no_phone_number(text: str) -> None:
    with pytest.raises(InvalidInput):
        contact_of(None, text, fictional=False)


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("ann+shop@example.com", "ann@example.com"),
        ("ann+a+b@example.com", "ann@example.com"),
        ("a.nn@example.com", "a.nn@example.com"),
        ("a.n.n+x@gmail.com", "ann@gmail.com"),
        ("ann@googlemail.com", "ann@gmail.com"),
        # There is nothing before the sign that could be a mailbox.
        ("+ann@example.com", "+ann@example.com"),
    ],
)
def test_the_addresses_of_a_mailbox_count_as_one_and_are_kept_apart(address: str, mailbox: str) -> None:
    contact = contact_of(address, None, fictional=False)
    assert (contact.address, contact.mailbox) == (address, Contact("email", mailbox))
    keyring = Keyring(KEYS[0])
    assert contact.person_digests(keyring)[0] == Contact("email", mailbox).digests(keyring)[0]
    assert contact.digests(keyring)[0] in contact.person_digests(keyring)


@pytest.mark.parametrize(
    "text",
    [
        "+19005550199",
        "+18005551234",
        "+447012345678",
        "+49180512345",
        "+33899123456",
        "+97912345678",
        "+881612345678",
        "+80012345678",
    ],
)
def test_a_number_that_costs_or_reaches_nobody_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="person's phone"):
        contact_of(None, text, fictional=True)


@pytest.mark.parametrize("text", ["+33123456789", "+33612345678", "+12025550123", "+447700900123"])
def test_a_number_of_an_unknown_or_common_kind_is_taken(text: str) -> None:
    assert contact_of(None, text, fictional=False).address == text


def test_the_domain_for_tests_is_for_development() -> None:
    assert contact_of("ann@shop.test", None, fictional=True).address == "ann@shop.test"
    with pytest.raises(InvalidInput):
        contact_of("ann@shop.test", None, fictional=False)


@given(st.text(max_size=300), st.booleans())
def test_any_text_is_an_address_or_is_refused(text: str, fictional: bool) -> None:
    for email, phone in ((text, None), (None, text)):
        with suppress(InvalidInput):
            contact = contact_of(email, phone, fictional=fictional)
            again = (contact.address, None) if contact.kind == "email" else (None, contact.address)
            assert contact_of(*again, fictional=fictional) == contact


def test_a_contact_is_found_under_every_accepted_key() -> None:
    contact = Contact("email", "ann@example.com")
    before, after = Keyring(KEYS[1]), Keyring(KEYS[0], [KEYS[1]])

    assert contact.digests(before)[0] in contact.digests(after)
    assert contact.digests(before)[0] != contact.digests(after)[0]
    assert Contact("phone", "+12025550123").digests(after) != contact.digests(after)
