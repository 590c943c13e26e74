"""The common part of every noun's calls."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pintuan.client.session import Session

_KEY_BYTES: Final = 16


class Caller:
    """Calls through a session."""

    def __init__(self, session: Session) -> None:
        self.session = session


def new_key() -> str:
    """Returns an idempotency key for one logical call, however often it is sent."""
    return secrets.token_urlsafe(_KEY_BYTES)
