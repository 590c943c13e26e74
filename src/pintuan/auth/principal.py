"""The caller as an access token names it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

Role: TypeAlias = Literal["buyer", "merchant", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
SUBJECT_LENGTH_MAX: Final = 128


class Principal(msgspec.Struct, frozen=True):
    """A verified caller; `subject` is the token's `sub`, 1 to `SUBJECT_LENGTH_MAX` printable characters."""

    subject: str
    role: Role


def is_subject(value: object) -> bool:
    """Says whether `value` may name a principal: printable, bounded, and without padding of spaces."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= SUBJECT_LENGTH_MAX
        and value.isprintable()
        and value == value.strip()
    )
