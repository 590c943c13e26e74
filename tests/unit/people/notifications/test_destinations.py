"""Messages that one provider takes have one destination, and its name is not readable."""

from __future__ import annotations

import pytest

from pintuan.base.keyring import Keyring
from pintuan.people.contacts.channels import Channel
from pintuan.people.notifications.destinations import DIGEST_CHARS, destination_digest, destination_of

KEYRING = Keyring("a key that seals messages in tests and nowhere else")


@pytest.mark.parametrize(
    ("channel", "address", "destination"),
    [
        ("email", "ann@gmail.com", "gmail.com"),
        ("email", "ann@mail.shop.example", "shop.example"),
        ("email", "ann@a.b.c.d.shop.example", "shop.example"),
        ("email", "ann@shop.co.uk", "shop.co.uk"),
        ("email", "ann@mail.shop.co.uk", "shop.co.uk"),
        ("email", "ann@shop.com.au", "shop.com.au"),
        ("email", "ann@mail.shop.co.jp", "shop.co.jp"),
        ("email", "ann@co.uk", "co.uk"),
        ("email", "ann@gmx.de", "gmx.de"),
        ("email", "ann@s0.evl.de", "evl.de"),
        ("email", "ann@s1.evl.de", "evl.de"),
        ("email", "ann@a.s2.x.io", "x.io"),
        ("email", "ann@mail.evl.us", "evl.us"),
        ("email", "ann@s3.blogspot.com", "blogspot.com"),
        ("email", "ann@mail.t-online.de", "t-online.de"),
        ("email", "ann@пошта.укр", "пошта.укр"),
        ("email", "ann@localhost", "localhost"),
        ("sms", "+821012345678", "+82"),
        ("sms", "+33612345678", "+33"),
        ("push", "usr_ann", ""),
    ],
)
def test_a_destination_is_an_owned_domain_or_a_country(
    channel: Channel, address: str, destination: str
) -> None:
    assert destination_of(channel, address) == destination


def test_what_is_kept_of_it_tells_no_domain_and_is_the_same_for_all_of_it() -> None:
    digest = destination_digest(KEYRING, "email", "ann@mail.shop.example")
    assert digest == destination_digest(KEYRING, "email", "bea@shop.example")
    assert digest != destination_digest(KEYRING, "email", "ann@tea.example")
    assert digest != destination_digest(
        Keyring("another secret, long enough to be one"), "email", "a@shop.example"
    )
    assert (len(digest), "shop" in digest) == (DIGEST_CHARS, False)
    assert destination_digest(KEYRING, "push", "usr_ann") == ""
