"""Of what an issuer publishes, only keys that can verify signatures are taken, each for one algorithm."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from pintuan.base.auth.key_set import KEY_COUNT_MAX, KeySetError, read_key_set
from tests.issuer import SigningKey

GOOD = SigningKey.new("good")


def read(*entries: object) -> set[tuple[str, str]]:
    """The names of the keys taken, beside one that is always good."""
    return set(read_key_set(json.dumps({"keys": [GOOD.public_jwk(), *entries]}).encode())) - {
        ("good", "ES256")
    }


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_taken_for_the_algorithm_of_its_type(algorithm: str) -> None:
    jwk = SigningKey.new("k", algorithm).public_jwk()

    assert read(jwk) == {("k", algorithm)}
    assert read({name: value for name, value in jwk.items() if name not in ("alg", "use")}) == {
        ("k", algorithm)
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": 7},
        {"kid": "k" * 257},
        {"use": "enc"},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": ["ES256"]},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": ["P-256"]},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA"},
        {"kty": ["EC"]},
        {"x": 7},
        {"x": "AAAA"},
        {"x": "!!"},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_used_is_passed_over(changes: dict[str, Any]) -> None:
    assert read(SigningKey.new("k").public_jwk() | changes) == set()


def test_a_private_key_in_public_is_passed_over() -> None:
    key = SigningKey.new("k")
    assert isinstance(key.private, EllipticCurvePrivateKey)

    assert read(ECAlgorithm.to_jwk(key.private, as_dict=True) | {"kid": "k"}) == set()


@pytest.mark.parametrize("entry", [1, "key", None, [], {}])
def test_what_is_no_key_is_passed_over(entry: object) -> None:
    assert read(entry) == set()


def test_a_short_rsa_key_is_passed_over() -> None:
    # It must be breakable: that is why it is refused.
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    short = private.public_key()

    assert read(RSAAlgorithm.to_jwk(short, as_dict=True) | {"kid": "k"}) == set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k"}]}',
        b"[" * 60_000,
    ],
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(KeySetError):
        read_key_set(body)


def test_more_keys_than_an_issuer_needs_are_refused() -> None:
    keys = [GOOD.public_jwk() | {"kid": str(number)} for number in range(KEY_COUNT_MAX + 1)]

    with pytest.raises(KeySetError, match="at most"):
        read_key_set(json.dumps({"keys": keys}).encode())
