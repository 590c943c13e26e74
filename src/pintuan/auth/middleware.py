"""Reads the bearer token of each request into `scope["user"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.errors import Unauthenticated

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from pintuan.auth.principal import Principal
    from pintuan.auth.tokens import TokenVerifier

# A route with this option in its `opt` never looks at the header (health, metrics, documentation, webhooks).
PUBLIC_OPTION: Final = "public"
_SCHEME: Final = "bearer"


class AuthMiddleware:
    """Pure ASGI middleware: no header is an anonymous caller, one that does not verify ends the request.

    The verifier is found in `app.state.tokens`: it needs the server's clock, which starts with the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sets `scope["user"]` to the principal or None.

        Raises:
            Unauthenticated: the Authorization header is there and is not a valid bearer token.
        """
        header = _authorization_of(scope)
        if header is None or scope["route_handler"].opt.get(PUBLIC_OPTION):
            scope["user"] = None
        else:
            verifier: TokenVerifier = scope["litestar_app"].state.tokens
            scope["user"] = authenticate(header, verifier)
        await self._app(scope, receive, send)


def authenticate(header: bytes, verifier: TokenVerifier) -> Principal:
    """Returns the principal of an Authorization header (RFC 6750 section 2.1).

    Raises:
        Unauthenticated: another scheme, or a token that does not verify.
    """
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != _SCHEME:
        raise Unauthenticated("The Authorization header must be a bearer token.")
    return verifier.verify(token.strip())


def _authorization_of(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value
    return None
