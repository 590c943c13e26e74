"""Other issuers that may vouch for callers: each is an entry of `PINTUAN_TRUSTED_ISSUERS`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pintuan.base.auth.principal import Role

ISSUERS_MAX: Final = 16
_TEXT: Final = Meta(min_length=1, max_length=256, pattern=r"^[!-~]+$")


class TrustedIssuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An issuer whose tokens are accepted: the `iss` and `aud` they must have, and where its keys are.

    Its callers get the first of `roles`. If `role_claim` names a claim (a role or a list of them), they get
    the first of `roles` that the claim holds.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    issuer: Annotated[str, _TEXT]
    audience: Annotated[str, _TEXT]
    jwks_url: Annotated[str, _TEXT]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=3)] = ("buyer",)
    role_claim: Annotated[str, _TEXT] | None = None

    @property
    def is_local(self) -> bool:
        """Says whether its keys come over plain http: from this machine itself, and only in dev."""
        return urlsplit(self.jwks_url).scheme == "http"


def read_trusted_issuers(text: str) -> tuple[TrustedIssuer, ...]:
    """Reads a JSON list of issuers.

    Raises:
        ValueError: it is none; the reason names the place in the list, from 1.
    """
    try:
        entries = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"must be a JSON list of issuers: {error}") from error
    if len(entries) > ISSUERS_MAX:
        raise ValueError(f"has {len(entries)} issuers; at most {ISSUERS_MAX} are trusted")
    issuers: list[TrustedIssuer] = []
    for place, entry in enumerate(entries, start=1):
        try:
            issuer = msgspec.json.decode(entry, type=TrustedIssuer)
            _check(issuer, issuers)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise ValueError(f"issuer {place} of {len(entries)}: {error}") from error
        issuers.append(issuer)
    return tuple(issuers)


def _check(issuer: TrustedIssuer, others: list[TrustedIssuer]) -> None:
    for other in others:
        if other.name == issuer.name:
            raise ValueError(f"another one is called {issuer.name!r} too")
        if other.issuer == issuer.issuer:
            raise ValueError(f"{other.name!r} has the same issuer")
    if len(issuer.roles) != len(set(issuer.roles)):
        raise ValueError("roles repeats a role")
    if len(issuer.roles) > 1 and issuer.role_claim is None:
        raise ValueError("role_claim must say which of several roles a caller has")
    try:
        url = urlsplit(issuer.jwks_url)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise ValueError("jwks_url is not a valid URL") from error
    if url.scheme not in ("https", "http") or not host:
        raise ValueError("jwks_url must start with https://")
    if "@" in url.netloc or url.fragment:
        raise ValueError("jwks_url must be an address without user or fragment")
    if url.scheme == "http" and not _is_loopback(host):
        raise ValueError("jwks_url must start with https://; http is for this machine alone")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
