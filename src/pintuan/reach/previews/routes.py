"""`/g/{share_code}/card.png` and `qr.svg`, and what phones ask a site whose links open an app."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import segno
from litestar import MediaType, Response, Router, get
from litestar.params import FromPath

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.base.errors import NotFound
from pintuan.base.locales import negotiate
from pintuan.base.locales.negotiation import language_of
from pintuan.buying.groups.service import get_shared_group
from pintuan.http.bodies import ApiRequest
from pintuan.http.etag import etag_of, is_known
from pintuan.http.parameters import InjectedResources
from pintuan.reach.previews.app_links import apple_links, google_links
from pintuan.reach.previews.cards import Cards, state_of
from pintuan.shop.deals.service import get_deal

PNG: Final = "image/png"
SVG: Final = "image/svg+xml"
_NOT_MODIFIED: Final = 304
CARD_LIFETIME_S: Final = 60
CODE_LIFETIME_S: Final = 24 * 3600
CODES_KEPT_MAX: Final = 1_000
# Pixels of a square, and how many squares stay white around the code (ISO/IEC 18004 asks for four).
CODE_SCALE: Final = 8
CODE_BORDER: Final = 4
_IMAGE_POLICY: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@get("/g/{share_code:str}/card.png", media_type=PNG)
async def read_card(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[bytes]:
    """Answers the group's picture as it stands now, in the language of `?lang=` or of the browser."""
    override = language_of(request.query_params.get("lang") or "")
    language = negotiate(request.headers.get("accept-language"), override)
    group = await get_shared_group(resources.pool, share_code, None, share_base=resources.settings.share_base)
    state = state_of(group, await get_deal(resources.pool, group.deal_id), language)
    tag = etag_of(state)
    headers = {
        "etag": tag,
        "cache-control": f"public, max-age={CARD_LIFETIME_S}",
        "vary": "accept-language",
    } | _IMAGE_POLICY
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(b"", status_code=_NOT_MODIFIED, headers=headers)
    cards = resources.state(Cards)
    card = await cards.card(state)
    if card is None:
        plain = await cards.plain_card()
        return Response(plain, media_type=PNG, headers={"cache-control": "no-store"} | _IMAGE_POLICY)
    return Response(card, media_type=PNG, headers=headers)


@get("/g/{share_code:str}/qr.svg", media_type=SVG)
async def read_qr_code(share_code: FromPath[str], resources: InjectedResources) -> Response[bytes]:
    """Answers the group's link as a QR code."""
    group = await get_shared_group(resources.pool, share_code, None, share_base=resources.settings.share_base)
    headers = {"cache-control": f"public, max-age={CODE_LIFETIME_S}"} | _IMAGE_POLICY
    return Response(qr_code(group.share_url), media_type=SVG, headers=headers)


@get("/.well-known/apple-app-site-association", media_type=MediaType.JSON)
async def read_apple_links(resources: InjectedResources) -> Response[Any]:
    """Answers which links an iPhone opens in the app."""
    links = apple_links(resources.settings)
    if links is None:
        raise NotFound("app")
    return Response(links, media_type=MediaType.JSON)


@get("/.well-known/assetlinks.json", media_type=MediaType.JSON)
async def read_google_links(resources: InjectedResources) -> Response[Any]:
    """Answers which app Android lets open our links."""
    links = google_links(resources.settings)
    if links is None:
        raise NotFound("app")
    return Response(links, media_type=MediaType.JSON)


@lru_cache(maxsize=CODES_KEPT_MAX)
def qr_code(text: str) -> bytes:
    """Returns a text as a QR code (SVG) that is still read with a seventh of it covered."""
    drawn = BytesIO()
    code = segno.make_qr(text, error="m")
    code.save(drawn, kind="svg", scale=CODE_SCALE, border=CODE_BORDER, light="white", xmldecl=False)
    return drawn.getvalue()


HANDLERS: Final = [
    Router(
        "/",
        route_handlers=[read_card, read_qr_code, read_apple_links, read_google_links],
        include_in_schema=False,
        opt={PUBLIC_OPTION: True},
    )
]
