"""The caller as an access token names it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

Role: TypeAlias = Literal["buyer", "merchant", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
# The principals that the activity log may name, and their credentials.
ActorRole: TypeAlias = Literal["merchant", "admin", "operator"]
Credential: TypeAlias = Literal["token", "api_key", "command"]
SUBJECT_LENGTH_MAX: Final = 128
# Stands between an issuer's name and its subject, and in no subject of ours, so that the two never collide.
ISSUER_SEPARATOR: Final = "|"


class Principal(msgspec.Struct, frozen=True):
    """A verified caller; `subject` is the token's `sub`, 1 to `SUBJECT_LENGTH_MAX` printable characters.

    For somebody another issuer vouches for it is `<issuer's name>|<sub>`. `api_key_id` names the key of a
    caller who came with one instead of a token; `session_id` names the session that a token of ours was
    issued for.
    """

    subject: str
    role: Role
    api_key_id: str | None = None
    session_id: str | None = None


def is_subject(value: object) -> bool:
    """Says whether `value` may name a principal: printable, bounded, and without padding of spaces."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= SUBJECT_LENGTH_MAX
        and value.isprintable()
        and value == value.strip()
    )


def is_own_subject(value: object) -> bool:
    """Says whether `value` may name a principal to whom we issue tokens ourselves."""
    return isinstance(value, str) and is_subject(value) and ISSUER_SEPARATOR not in value
