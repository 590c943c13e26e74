"""Whom else to trust is read strictly, and what is wrong is named with its place in the list."""

import json
from typing import Any

import pytest

from pintuan.base.auth.trusted_issuer import ISSUERS_MAX, TrustedIssuer, read_trusted_issuers
from pintuan.base.settings.settings import SettingsError, load_settings

SHOP: dict[str, Any] = {
    "name": "shop",
    "issuer": "https://accounts.shop.example",
    "audience": "pintuan",
    "jwks_url": "https://accounts.shop.example/keys.json",
}
OTHER = SHOP | {"name": "other", "issuer": "https://other.example"}


def read(*entries: dict[str, Any]) -> tuple[TrustedIssuer, ...]:
    return read_trusted_issuers(json.dumps(entries))


def test_a_list_of_issuers_is_read_with_its_defaults() -> None:
    shop, staff = read(SHOP, OTHER | {"roles": ["admin", "merchant"], "role_claim": "groups"})

    assert shop == TrustedIssuer(**SHOP, roles=("buyer",), role_claim=None)
    assert (staff.roles, staff.role_claim) == (("admin", "merchant"), "groups")
    assert read() == ()


def test_http_is_for_this_machine_in_dev_alone() -> None:
    for host in ("localhost", "127.0.0.1:8080", "[::1]"):
        text = json.dumps([SHOP | {"jwks_url": f"http://{host}/keys"}])
        settings = load_settings({"PINTUAN_TRUSTED_ISSUERS": text})
        assert settings.trusted_issuers[0].is_local

        with pytest.raises(SettingsError, match=r"TRUSTED_ISSUERS: issuer 1: jwks_url must start with https"):
            load_settings(
                {"PINTUAN_TRUSTED_ISSUERS": text, "PINTUAN_ENV": "production", "PINTUAN_SECRET_KEY": "k" * 32}
            )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Shop"}, "matching regex"),
        ({"name": "a|b"}, "matching regex"),
        ({"name": ""}, "matching regex"),
        ({"name": "shop"}, "another one is called 'shop' too"),
        ({"issuer": SHOP["issuer"]}, "'shop' has the same issuer"),
        ({"audience": ""}, r"length >= 1 - at `\$.audience`"),
        ({"roles": []}, r"length >= 1 - at `\$.roles`"),
        ({"roles": ["owner"]}, "Invalid enum value 'owner'"),
        ({"roles": ["buyer", "buyer"], "role_claim": "r"}, "roles repeats a role"),
        ({"roles": ["buyer", "admin"]}, "role_claim must say"),
        ({"jwks_url": "ftp://other.example/keys"}, "jwks_url must start with https://"),
        ({"jwks_url": "https:///keys"}, "jwks_url must start with https://"),
        ({"jwks_url": "https://other.example:x/keys"}, "jwks_url is not a valid URL"),
        ({"jwks_url": "https://u:p@other.example/keys"}, "without user"),
        ({"jwks_url": "https://other.example/keys#1"}, "without user or fragment"),
        ({"jwks_url": "http://other.example/keys"}, "http is for this machine alone"),
        ({"jwks_url": "http://127.0.0.1.other.example/keys"}, "http is for this machine alone"),
        ({"jwks": "{}"}, "unknown field `jwks`"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings({"PINTUAN_TRUSTED_ISSUERS": json.dumps([SHOP, OTHER | changes])})

    assert caught.value.variable == "PINTUAN_TRUSTED_ISSUERS"
    assert caught.value.reason.startswith("issuer 2 of 2: ")


@pytest.mark.parametrize("text", ["shop", "{}", "[1", "null", "[" * 100_000])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a JSON list of issuers"):
        read_trusted_issuers(text)


def test_the_list_is_bounded() -> None:
    with pytest.raises(ValueError, match=f"at most {ISSUERS_MAX}"):
        read(*[SHOP] * (ISSUERS_MAX + 1))
