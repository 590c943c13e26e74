"""Each purpose has a key of its own, and a key that was swapped out still opens what it closed."""

import pytest
from cryptography.fernet import InvalidToken

from pintuan.base.keyring import KID_BYTES, SUBKEY_BYTES, Keyring
from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import Settings

OLD = "an old key that is long enough for anything we do"
NEW = "a new key that is long enough for anything we do"


def test_the_current_key_comes_first_and_every_accepted_one_follows() -> None:
    keyring = Keyring(NEW, [OLD])

    assert keyring.kids == (Keyring(NEW).kid, Keyring(OLD).kid)
    assert keyring.kid == Keyring(NEW).kid
    assert list(keyring.subkeys("otp")) == list(keyring.kids)
    assert keyring.subkey("otp") == Keyring(NEW).subkey("otp")
    assert keyring.subkeys("otp")[Keyring(OLD).kid] == Keyring(OLD).subkey("otp")


def test_a_key_that_is_both_current_and_accepted_counts_once() -> None:
    assert Keyring(NEW, [OLD, NEW, OLD]).kids == Keyring(NEW, [OLD]).kids


def test_no_two_purposes_and_no_two_secrets_share_a_key() -> None:
    keys = [
        *Keyring(NEW, [OLD]).subkeys("otp").values(),
        *Keyring(NEW, [OLD]).subkeys("access-token").values(),
        *Keyring(NEW, [OLD]).subkeys("notification").values(),
    ]

    assert len(set(keys)) == 6
    assert {len(key) for key in keys} == {SUBKEY_BYTES}


def test_a_fingerprint_is_short_and_no_part_of_a_key() -> None:
    keyring = Keyring(NEW)

    assert len(bytes.fromhex(keyring.kid)) == KID_BYTES
    assert bytes.fromhex(keyring.kid) not in keyring.subkey("access-token")
    assert NEW not in repr(keyring) + repr(vars(keyring)["_subkeys"])


def test_what_was_encrypted_before_a_rotation_is_read_after_it_until_the_old_key_is_dropped() -> None:
    token = Keyring(OLD).fernet("notification").encrypt(b"123456")

    assert Keyring(NEW, [OLD]).fernet("notification").decrypt(token) == b"123456"
    with pytest.raises(InvalidToken):
        Keyring(NEW).fernet("notification").decrypt(token)
    with pytest.raises(InvalidToken):
        Keyring(OLD).fernet("contact").decrypt(token)


def test_what_is_encrypted_in_the_middle_of_a_rotation_is_under_the_current_key() -> None:
    token = Keyring(NEW, [OLD]).fernet("notification").encrypt(b"123456")

    assert Keyring(NEW).fernet("notification").decrypt(token) == b"123456"


def test_the_settings_make_the_keyring() -> None:
    settings = Settings(secret_key=NEW, secret_keys_accepted=(OLD,))

    assert keyring_of(settings).kids == Keyring(NEW, [OLD]).kids


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Keyring(NEW, [""])
