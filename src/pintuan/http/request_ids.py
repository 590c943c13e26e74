"""The id of a request: taken over from the caller if it is sane, and echoed in the response."""

from __future__ import annotations

import re
from os import urandom
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUEST_ID_HEADER: Final = b"x-request-id"
_RANDOM_BYTES: Final = 12
# Sane is what cannot break a log line, a header or a reader's patience.
_SANE: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


def sent_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Returns the id that came with a request, or None when there is none that can be used.

    Names of `headers` are in lower case.
    """
    for name, value in headers:
        if name == REQUEST_ID_HEADER and is_sane(value):
            return value
    return None


def is_sane(request_id: bytes) -> bool:
    """Says whether an id may be taken over."""
    return _SANE.fullmatch(request_id) is not None


def new_request_id() -> str:
    """Returns an id for a request that came without one."""
    return urandom(_RANDOM_BYTES).hex()
