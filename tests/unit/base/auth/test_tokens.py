"""Tokens are verified strictly, by the server's clock alone."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest

from pintuan.base.auth import Principal
from pintuan.base.auth.tokens import (
    AUDIENCE,
    ISSUER,
    LEEWAY_S,
    LIFETIME_S,
    TOKEN_LENGTH_MAX,
    TokenIssuer,
    TokenVerifier,
)
from pintuan.base.errors import Unauthenticated
from pintuan.base.keyring import Keyring

KEYRING = Keyring("a key that is long enough for HS256 to be content")
OTHER = Keyring("another key that is long enough for HS256 as well")
NOW_S = 1_800_000_000


class Clock:
    """The server's time, moved by hand."""

    def __init__(self) -> None:
        self.s: float = NOW_S

    def now_s(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier(KEYRING, clock.now_s)


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "role": "buyer",
        "jti": "1",
        "iat": NOW_S,
        "exp": NOW_S + LIFETIME_S,
    } | changes


def signed(
    claims: dict[str, Any],
    *,
    key: bytes = KEYRING.subkey("access-token"),
    algorithm: str = "HS256",
    **header: Any,
) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": KEYRING.kid} | header)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_we_issued_names_its_principal(verifier: TokenVerifier) -> None:
    token = TokenIssuer(KEYRING).issue("ann", "buyer", now_s=NOW_S)

    assert verifier.verify(token).principal == Principal("ann", "buyer")
    assert verifier.verify(token).principal == Principal("ann", "buyer")


def test_two_tokens_of_one_subject_differ() -> None:
    issuer = TokenIssuer(KEYRING)

    assert issuer.issue("ann", "buyer", now_s=NOW_S) != issuer.issue("ann", "buyer", now_s=NOW_S)


def test_a_token_expires_by_the_servers_clock(verifier: TokenVerifier, clock: Clock) -> None:
    token = TokenIssuer(KEYRING).issue("ann", "buyer", now_s=NOW_S)
    verifier.verify(token)

    clock.s = NOW_S + LIFETIME_S + LEEWAY_S - 0.1
    verifier.verify(token)
    clock.s = NOW_S + LIFETIME_S + LEEWAY_S
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_the_tokens_of_these_tests_verify_where_nothing_is_wrong(verifier: TokenVerifier) -> None:
    assert verifier.verify(signed(claims())).principal == Principal("ann", "buyer")


def test_a_token_names_the_key_it_is_signed_with() -> None:
    token = TokenIssuer(KEYRING).issue("ann", "buyer", now_s=NOW_S)

    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": KEYRING.kid}


def test_a_token_signed_before_a_rotation_verifies_until_its_key_is_dropped(clock: Clock) -> None:
    old, new = "the old key of this deployment", "the new key of this deployment"
    token = TokenIssuer(Keyring(old)).issue("ann", "buyer", now_s=NOW_S)

    assert TokenVerifier(Keyring(old, [new]), clock.now_s).verify(token).principal.subject == "ann"
    assert TokenVerifier(Keyring(new, [old]), clock.now_s).verify(token).principal.subject == "ann"
    with pytest.raises(Unauthenticated):
        TokenVerifier(Keyring(new), clock.now_s).verify(token)


@pytest.mark.parametrize("kid", [KEYRING.kid, OTHER.kid])
def test_a_token_signed_with_another_key_is_refused(verifier: TokenVerifier, kid: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(), key=OTHER.subkey("access-token"), kid=kid))


def test_a_token_signed_with_the_key_of_another_kid_is_refused(clock: Clock) -> None:
    both = Keyring("the current key", ["the former key"])
    verifier = TokenVerifier(both, clock.now_s)
    current, former = both.kids

    verifier.verify(signed(claims(), key=both.subkeys("access-token")[former], kid=former))
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(), key=both.subkeys("access-token")[former], kid=current))


def test_a_token_signed_with_the_key_of_another_purpose_is_refused(verifier: TokenVerifier) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(), key=KEYRING.subkey("otp")))


@pytest.mark.parametrize(
    "header", [{}, {"kid": 1}, {"kid": None}, {"kid": [KEYRING.kid]}, {"kid": ""}], ids=str
)
def test_a_token_that_names_no_key_of_ours_is_refused(
    verifier: TokenVerifier, header: dict[str, Any]
) -> None:
    head = part({"alg": "HS256", "typ": "JWT"} | header)
    _, body, _ = signed(claims()).split(".")
    key = KEYRING.subkey("access-token")
    signature = hmac.digest(key, f"{head}.{body}".encode(), "sha256")

    with pytest.raises(Unauthenticated):
        verifier.verify(f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_an_unsigned_token_is_refused(verifier: TokenVerifier) -> None:
    head = part({"alg": "none", "typ": "JWT", "kid": KEYRING.kid})

    with pytest.raises(Unauthenticated):
        verifier.verify(f"{head}.{part(claims())}.")


def test_a_token_signed_with_another_algorithm_is_refused(verifier: TokenVerifier) -> None:
    key = KEYRING.subkey("access-token")

    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(), key=key * 2, algorithm="HS512"))


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "role", "jti", "iat", "exp"])
def test_a_token_without_a_claim_is_refused(verifier: TokenVerifier, missing: str) -> None:
    incomplete = {name: value for name, value in claims().items() if name != missing}

    with pytest.raises(Unauthenticated):
        verifier.verify(signed(incomplete))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "another-api"},
        {"role": "owner"},
        {"role": ["buyer"]},
        {"sub": ""},
        {"sub": " ann"},
        {"sub": "ann\n"},
        {"sub": "a" * 129},
        {"sub": "issuer|ann"},
        {"iat": NOW_S + LEEWAY_S + 1, "exp": NOW_S + 60},
        {"exp": NOW_S - LEEWAY_S},
        {"exp": NOW_S + LIFETIME_S + 1},
        {"exp": True},
        {"exp": NOW_S + 60.5},
    ],
    ids=str,
)
def test_a_signed_token_with_a_claim_we_would_not_make_is_refused(
    verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(**changes)))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ä.ö.ü", "." * 10, "x" * (TOKEN_LENGTH_MAX + 1)])
def test_text_that_is_no_token_is_refused(verifier: TokenVerifier, text: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(text)


@pytest.mark.parametrize("subject", ["", " ", "ann ", "a" * 129, "a\tb", "issuer|ann"])
def test_no_token_is_issued_for_a_subject_that_would_be_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        TokenIssuer(KEYRING).issue(subject, "buyer", now_s=NOW_S)
