"""The actor of a change: found where a request or a command begins, and asked for where something is changed.

A change that nobody answers for, such as a worker's, is in no log.
"""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pintuan.base.auth.principal import ActorRole, Credential, Principal

UNNAMED: Final = "unknown"
"""An operator whose account the system has no name for, as in most containers."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A person or program that changes something, and the action.

    `action` is an operation's id, or a command as it is typed. `credential_id` is the id of an API key, or of
    the session that an access token was issued for; a token from elsewhere has none. `address` is that of the
    client, as trusted proxies tell it.
    """

    subject: str
    role: ActorRole
    action: str
    credential: Credential
    credential_id: str | None = None
    request_id: str | None = None
    address: str | None = None


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


def current_actor() -> Actor | None:
    """Returns who acts in this task, or None where nobody does who answers for it."""
    return _acting.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Makes the actor answerable for all changes within the block."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def caller(principal: Principal, scope: Mapping[str, Any]) -> Actor | None:
    """Returns who makes the call of an ASGI scope; None for buyers, whose calls are about themselves."""
    if principal.role == "buyer":
        return None
    is_key = principal.api_key_id is not None
    return Actor(
        subject=principal.subject,
        role=principal.role,
        action=scope["route_handler"].handler_name,
        credential="api_key" if is_key else "token",
        credential_id=principal.api_key_id if is_key else principal.session_id,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
        address=_address_of(scope),
    )


def operator(action: str) -> Actor:
    """Returns who runs a command, by the name of their account on this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = UNNAMED
    return Actor(subject=name, role="operator", action=action, credential="command")


def _address_of(scope: Mapping[str, Any]) -> str | None:
    """Returns the address as text; None for a Unix socket, or for a word that a proxy told instead."""
    client = scope.get("client")
    try:
        # An address of one machine's own may name an interface, which means nothing elsewhere.
        return str(ip_address(client[0].partition("%")[0])) if client else None
    except ValueError:
        return None
