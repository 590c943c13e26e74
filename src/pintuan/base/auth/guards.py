"""Guards: which role may call a route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pintuan.base.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from pintuan.base.auth.principal import Principal, Role


SELLERS: Final = frozenset({"merchant", "admin"})
"""The roles of callers who sell, themselves or on a merchant's behalf."""


@dataclass(frozen=True, slots=True)
class RoleGuard:
    """A guard that raises `Unauthenticated` for an anonymous caller and `Forbidden` for another role."""

    allowed: frozenset[str]

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        """Lets callers of an allowed role pass."""
        check_role(connection.scope["user"], self.allowed)


def requires_role(*roles: Role) -> RoleGuard:
    """Returns a guard for a route's `guards=[…]`; an admin passes wherever a merchant does."""
    return RoleGuard(frozenset(roles) | (SELLERS if "merchant" in roles else frozenset()))


def admits_api_keys(handler: BaseRouteHandler) -> bool:
    """Says whether a call can be made with an API key, which is always a merchant's."""
    guards = [getattr(guard, "func", guard) for guard in handler.resolve_guards()]
    if refuse_api_key in guards:
        return False
    return all("merchant" in guard.allowed for guard in guards if isinstance(guard, RoleGuard))


def check_role(principal: Principal | None, allowed: frozenset[str]) -> Principal:
    """Returns the principal if its role is in `allowed`.

    Raises:
        Unauthenticated: nobody is signed in.
        Forbidden: somebody of another role is.
    """
    if principal is None:
        raise Unauthenticated
    if principal.role not in allowed:
        raise Forbidden(f"This call is for: {', '.join(sorted(allowed))}.")
    return principal


def refuse_api_key(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard for calls that a person must make: it raises `Forbidden` for a caller with an API key."""
    principal: Principal | None = connection.scope["user"]
    if principal is not None and principal.api_key_id is not None:
        raise Forbidden("An API key may not make this call; sign in and use an access token.")
