"""A trusted issuer's token is taken for what its entry in the settings says, and for nothing else."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pintuan.base.auth import Principal
from pintuan.base.auth.issuer_tokens import (
    FOREIGN_LEEWAY_S,
    FOREIGN_LIFETIME_S_MAX,
    FOREIGN_TOKEN_LENGTH_MAX,
    IssuerTokens,
)
from pintuan.base.auth.trusted_issuer import TrustedIssuer
from pintuan.base.errors import Unauthenticated
from tests.issuer import LIFETIME_S, KeyServer, SigningKey, claims, key_server

pytestmark = pytest.mark.anyio

NOW_S = 1_800_000_000
KEYS = {algorithm: SigningKey.new(algorithm.lower(), algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
KEY = KEYS["ES256"]
STRANGER = SigningKey.new(KEY.kid)


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server(*KEYS.values()) as server:
        yield server


def trusting(server: KeyServer, **changes: Any) -> IssuerTokens:
    return IssuerTokens([TrustedIssuer(**server.entry(**changes))], lambda: NOW_S, on_change=lambda: None)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", list(KEYS))
async def test_a_token_signed_with_a_published_key_names_its_caller(
    server: KeyServer, algorithm: str
) -> None:
    verified = await trusting(server).verify(KEYS[algorithm].sign(claims(NOW_S)))

    assert verified.principal == Principal("shop|ann", "buyer")
    assert verified.until_s == NOW_S + LIFETIME_S + FOREIGN_LEEWAY_S


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": ["https://accounts.shop.example"]},
        {"aud": "another"},
        {"aud": ["another"]},
        {"sub": ""},
        {"sub": 7},
        {"sub": "ann "},
        {"sub": "a\nb"},
        {"sub": "a" * 128},
        {"iat": NOW_S + FOREIGN_LEEWAY_S + 1},
        {"nbf": NOW_S + FOREIGN_LEEWAY_S + 1},
        {"exp": NOW_S - FOREIGN_LEEWAY_S},
        {"exp": NOW_S + FOREIGN_LIFETIME_S_MAX + 1},
        {"iat": True},
        {"iat": "now"},
        {"exp": 1e300},
        {"iat": -(10**400), "exp": -(10**400)},
        {"nbf": [NOW_S]},
    ],
    ids=lambda changes: str(changes)[:60],
)
async def test_a_token_that_says_what_it_may_not_is_refused(
    server: KeyServer, changes: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        await trusting(server).verify(KEY.sign(claims(NOW_S, **changes)))


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "iat", "exp"])
async def test_a_token_without_a_claim_is_refused(server: KeyServer, missing: str) -> None:
    incomplete = {name: value for name, value in claims(NOW_S).items() if name != missing}

    with pytest.raises(Unauthenticated):
        await trusting(server).verify(KEY.sign(incomplete))


@pytest.mark.parametrize(
    "changes", [{"aud": ["another", "pintuan-of-shop"]}, {"iat": NOW_S - 0.5, "exp": NOW_S + 60.5}]
)
async def test_what_rfc_7519_allows_is_taken(server: KeyServer, changes: dict[str, Any]) -> None:
    await trusting(server).verify(KEY.sign(claims(NOW_S, **changes)))


async def test_a_public_key_is_no_secret_to_sign_with(server: KeyServer) -> None:
    public = KEYS["RS256"].private.public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(KEYS["RS256"].public_jwk()).encode(),
    ]
    signed = f"{part({'alg': 'HS256', 'kid': 'rs256'})}.{part(claims(NOW_S))}"
    for secret in secrets:
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=")
        with pytest.raises(Unauthenticated):
            await trusting(server).verify(f"{signed}.{signature.decode()}")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KEY.kid},
        {"alg": ["ES256"], "kid": KEY.kid},
        {"alg": "RS256", "kid": KEY.kid},
        {"kid": KEY.kid},
        {"alg": "ES256"},
        {"alg": "ES256", "kid": ""},
        {"alg": "ES256", "kid": 7},
        {"alg": "ES256", "kid": KEY.kid, "crit": ["exp"]},
    ],
    ids=str,
)
async def test_a_header_that_names_no_key_and_its_algorithm_is_refused(
    server: KeyServer, header: dict[str, Any]
) -> None:
    _, body, signature = KEY.sign(claims(NOW_S)).split(".")

    with pytest.raises(Unauthenticated):
        await trusting(server).verify(f"{part(header)}.{body}.{signature}")


async def test_a_key_that_came_with_the_token_is_not_looked_at(server: KeyServer) -> None:
    stranger = SigningKey.new("stranger")
    for key, header in (
        (STRANGER, {}),
        (STRANGER, {"jwk": STRANGER.public_jwk()}),
        (stranger, {"jwk": stranger.public_jwk(), "jku": server.url}),
    ):
        with pytest.raises(Unauthenticated):
            await trusting(server).verify(key.sign(claims(NOW_S), **header))


async def test_a_token_too_long_to_remember_is_refused(server: KeyServer) -> None:
    with pytest.raises(Unauthenticated):
        await trusting(server).verify(KEY.sign(claims(NOW_S, padding="x" * FOREIGN_TOKEN_LENGTH_MAX)))
    assert server.asked == 0


async def test_one_issuers_key_signs_for_no_other(server: KeyServer) -> None:
    async with key_server(STRANGER) as other:
        entries = [server.entry(), other.entry(name="other", issuer="https://other.example")]
        tokens = IssuerTokens(
            [TrustedIssuer(**entry) for entry in entries], lambda: NOW_S, on_change=lambda: None
        )

        signed_by_other = STRANGER.sign(claims(NOW_S, iss="https://other.example"))
        assert (await tokens.verify(signed_by_other)).principal.subject == "other|ann"
        with pytest.raises(Unauthenticated):
            await tokens.verify(STRANGER.sign(claims(NOW_S)))


@pytest.mark.parametrize(
    ("entry", "said", "role"),
    [
        ({}, {"role": "admin"}, "buyer"),
        ({"roles": ["merchant"]}, {}, "merchant"),
        ({"roles": ["admin", "buyer"], "role_claim": "groups"}, {"groups": "buyer"}, "buyer"),
        ({"roles": ["admin", "buyer"], "role_claim": "groups"}, {"groups": ["x", "buyer", "admin"]}, "admin"),
        ({"roles": ["buyer"], "role_claim": "groups"}, {"groups": ["buyer", "admin"]}, "buyer"),
        ({"roles": ["buyer"], "role_claim": "groups"}, {"groups": ["admin"]}, None),
        ({"roles": ["buyer"], "role_claim": "groups"}, {"groups": {"buyer": True}}, None),
        ({"roles": ["buyer"], "role_claim": "groups"}, {}, None),
    ],
)
async def test_a_caller_has_no_role_but_those_the_operator_gives_the_issuer(
    server: KeyServer, entry: dict[str, Any], said: dict[str, Any], role: str | None
) -> None:
    entry = {name: tuple(value) if name == "roles" else value for name, value in entry.items()}
    token = KEY.sign(claims(NOW_S, **said))
    if role is None:
        with pytest.raises(Unauthenticated):
            await trusting(server, **entry).verify(token)
    else:
        assert (await trusting(server, **entry).verify(token)).principal.role == role
