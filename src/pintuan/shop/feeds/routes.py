"""Importing a product feed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Router, post
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import QueryParameter

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.errors import ClientGone
from pintuan.http.bodies import ApiRequest
from pintuan.http.parameters import InjectedResources
from pintuan.shop.feeds.schemas import ImportResult
from pintuan.shop.feeds.uploads import MEDIA_TYPES, UPLOAD_BYTES_MAX, Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


CurrencyAssumedParameter = Annotated[
    str | None,
    QueryParameter(
        pattern="^[A-Z]{3}$",
        max_length=3,
        description="ISO 4217 code of prices that name none; the marketplace's own when left out.",
    ),
]


@dataclass
class _FeedBody(Operation):
    """An operation whose body is a feed, which no parameter of the handler stands for."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            description="The feed; its content shows the format, up to 64 MiB.",
            required=True,
            content={name: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)) for name in MEDIA_TYPES},
        )


@post(
    "/",
    guards=[requires_role("merchant")],
    operation_class=_FeedBody,
    request_max_body_size=UPLOAD_BYTES_MAX,
    status_code=200,
    summary="Import a product feed",
)
async def import_feed(
    request: ApiRequest, resources: InjectedResources, currency: CurrencyAssumedParameter = None
) -> ImportResult:
    """Takes CSV or TSV with Google's or Meta's column names, Shopify's product CSV, RSS 2.0 or Atom.

    The body must come at 128 kB a second or faster, with 30 seconds to begin with. Answers when all is
    imported, or after five minutes with what was; hanging up ends the import. A merchant has one at a
    time. Rows that cannot be kept are told with their line, the others are kept, if need be without what is
    optional. A byte order mark, the type's `charset` or the XML declaration say the encoding; else it is
    UTF-8. The same feed again changes only what differs.
    """
    merchant = check_role(request.user, SELLERS)
    return await resources.state(Uploads).take(
        resources.pool,
        merchant.subject,
        _arriving(request),
        content_type=request.headers.get("content-type", ""),
        currency=currency or resources.settings.default_currency,
        until_gone=partial(_until_gone, request),
    )


async def _arriving(request: ApiRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except InternalServerException as error:
        # The other reason for it is a body read before, which nothing here does.
        raise ClientGone from error


async def _until_gone(request: ApiRequest) -> None:
    """Returns when the caller has hung up; all of the body has arrived by then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


HANDLERS: Final = [Router("/v1/merchant/imports", route_handlers=[import_feed], tags=["merchants"])]
