"""The caller of a page, as their request tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pintuan.base.locales import negotiate, translations_for
from pintuan.base.locales.negotiation import language_of
from pintuan.buying.orders.schemas import InviteCode
from pintuan.reach.pages.rendering import Tongue
from pintuan.reach.pages.visitor import Visitor, signed_in, visitor_of

if TYPE_CHECKING:
    from litestar import Request

    from pintuan.base.auth import Principal
    from pintuan.base.locales import Translations
    from pintuan.base.process import Resources
    from pintuan.http.bodies import ApiRequest


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a page, and their language; `invite_code` is that of the link they came by."""

    tongue: Tongue
    visitor: Visitor | None
    principal: Principal | None
    invite_code: str | None

    @property
    def translations(self) -> Translations:
        """The messages of the page's language."""
        return translations_for(self.tongue.language)

    @property
    def query(self) -> str:
        """The query that the links of the page carry on, beginning with `?`, or nothing."""
        pairs = (("lang", self.tongue.override), ("invite", self.invite_code))
        given = "&".join(f"{name}={value}" for name, value in pairs if value)
        return f"?{given}" if given else ""


async def caller_of(request: ApiRequest, resources: Resources) -> Caller:
    """Returns who asks for a page."""
    visitor = visitor_of(request, resources.keyring, resources.settings)
    principal = await signed_in(resources.pool, visitor)
    return Caller(tongue_of(request), visitor, principal, _invite_code(request))


def tongue_of(request: Request[Any, Any, Any]) -> Tongue:
    """Returns the language of the page a request asks for."""
    override = language_of(request.query_params.get("lang") or "")
    return Tongue(negotiate(request.headers.get("accept-language"), override), override)


def _invite_code(request: ApiRequest) -> str | None:
    """The invitation a link carries; one that can be none is left out, because the link still leads here."""
    code = request.query_params.get("invite")
    try:
        return msgspec.convert(code, InviteCode | None)
    except msgspec.ValidationError:
        return None
