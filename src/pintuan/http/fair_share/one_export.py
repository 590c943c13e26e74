"""At most one export of an account at a time: another one would only take somebody else's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pintuan.base.errors import RateLimited
from pintuan.http.fair_share.layer import CLASS_KEY
from pintuan.http.fair_share.limits import PLACES

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from pintuan.base.auth.principal import Principal

RETRY_AFTER_S: Final = 5


class OneExport:
    """Refuses a second export of an account; it comes behind `AuthMiddleware`.

    All routes share `under_way`, which has the accounts whose exports have not ended.
    """

    def __init__(self, app: ASGIApp, under_way: set[tuple[str, str]]) -> None:
        self._app = app
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a call on; raises RateLimited for a second export of an account."""
        caller = cast("Principal | None", scope.get("user"))
        call_class = cast("dict[str, Any]", scope).get(CLASS_KEY)
        if caller is None or call_class is None or not PLACES[call_class].whole:
            await self._app(scope, receive, send)
            return
        account = (caller.role, caller.subject)
        if account in self._under_way:
            raise RateLimited(
                "An export of yours is under way; wait for its end.", retry_after_s=RETRY_AFTER_S
            )
        self._under_way.add(account)
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way.discard(account)
