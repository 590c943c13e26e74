"""Reads the bearer token of each request into `scope["user"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.auth.acting import acting, caller
from pintuan.base.errors import Unauthenticated

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from pintuan.base.auth.verifier import Verifier

# A route with this option in its `opt` never looks at the header (health, metrics, documentation, webhooks).
PUBLIC_OPTION: Final = "public"
_SCHEME: Final = "bearer"


class AuthMiddleware:
    """Pure ASGI middleware: no header is an anonymous caller, one that does not verify ends the request.

    The verifier is found in `app.state.verifier`: it needs the server's clock, which starts with the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sets `scope["user"]` to the principal or None; a seller answers for the changes of the call.

        Raises:
            Unauthenticated: the Authorization header is there and holds no valid bearer token or API key.
            Overloaded: whether it is valid cannot be found out for the moment.
        """
        header = _authorization_of(scope)
        if header is None or scope["route_handler"].opt.get(PUBLIC_OPTION):
            scope["user"] = None
        else:
            verifier: Verifier = scope["litestar_app"].state.verifier
            credential = _credential_of(header)
            # Most callers were here a moment ago, and cost no suspension.
            scope["user"] = verifier.recall(credential) or await verifier.verify(credential)
        actor = None if scope["user"] is None else caller(scope["user"], scope)
        if actor is None:
            await self._app(scope, receive, send)
        else:
            with acting(actor):
                await self._app(scope, receive, send)


def _credential_of(header: bytes) -> str:
    """Returns the token or key of an Authorization header (RFC 6750 section 2.1)."""
    scheme, _, credential = header.decode("latin-1").partition(" ")
    if scheme.lower() != _SCHEME:
        raise Unauthenticated("The Authorization header must be a bearer token.")
    return credential.strip()


def _authorization_of(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value
    return None
