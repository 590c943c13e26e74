"""`/v1/unsubscribe/{token}`, and `/dev/outbox`: messages that would have been delivered, in
development only.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Final

import msgspec
from litestar import MediaType, Response, Router, get, post
from litestar.params import FromPath, QueryParameter

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.http.bodies import ApiRequest
from pintuan.http.parameters import InjectedResources
from pintuan.people.consents.pages import PAGE_HEADERS, asking, done
from pintuan.people.consents.service import stop_of_token
from pintuan.people.notifications.schemas import Outbox, OutboxItem
from pintuan.people.notifications.service import read_outbox
from pintuan.people.notifications.unsubscribing import unsubscribe as stop_messages

ADDRESS_LENGTH_MAX: Final = 320
_CONTENT_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _CONTENT_POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "vary": "accept",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>Pintuan outbox</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body><main>
<h1>Outbox</h1>
<p>What people were told in the last hour, newest first. This page exists in development only.</p>
<table>
<thead><tr><th>When</th><th>To</th><th>Text</th><th>Code</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main></body>
</html>
"""
_NOTHING: Final = '<tr><td colspan="4">Nothing yet.</td></tr>'


@get("/dev/outbox")
async def read_dev_outbox(
    request: ApiRequest,
    resources: InjectedResources,
    to: Annotated[
        str | None,
        QueryParameter(max_length=ADDRESS_LENGTH_MAX, description="Only messages to this address."),
    ] = None,
) -> Response[str] | Response[bytes]:
    """Answers the newest messages as a page, or as JSON where the caller prefers it."""
    items = await read_outbox(resources.pool, resources.keyring, to)
    preferred = request.accept.best_match([MediaType.HTML, MediaType.JSON], default=MediaType.HTML)
    if preferred == MediaType.JSON:
        return Response(msgspec.json.encode(Outbox(items)), media_type=MediaType.JSON, headers=_HEADERS)
    rows = "\n".join(_row_of(item) for item in items) or _NOTHING
    return Response(_PAGE.format(rows=rows), media_type=MediaType.HTML, headers=_HEADERS)


def _row_of(item: OutboxItem) -> str:
    cells = (f"{item.created_at:%H:%M:%S}", item.to, item.text, item.code or "")
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


@post(
    "/v1/unsubscribe/{token:str}",
    tags=["identity"],
    status_code=200,
    media_type=MediaType.HTML,
    summary="Get no more messages of a kind",
    opt={PUBLIC_OPTION: True},
)
async def unsubscribe(token: FromPath[str], resources: InjectedResources) -> Response[str]:
    """Takes the one click of a mail program (RFC 8058) or of the page that GET shows; any body will do."""
    topic = await stop_messages(resources.pool, resources.keyring, token)
    return Response(done(topic), media_type=MediaType.HTML, headers=PAGE_HEADERS)


@get(
    "/v1/unsubscribe/{token:str}",
    tags=["identity"],
    media_type=MediaType.HTML,
    summary="A page that asks whether to send no more of them",
    opt={PUBLIC_OPTION: True},
)
async def ask_to_unsubscribe(token: FromPath[str], resources: InjectedResources) -> Response[str]:
    """Asks, because a program that looks at links must not unsubscribe anybody by it."""
    stop = stop_of_token(resources.keyring, token)
    return Response(asking(stop.topic), media_type=MediaType.HTML, headers=PAGE_HEADERS)


HANDLERS: Final = [unsubscribe, ask_to_unsubscribe]
DEV_HANDLERS: Final = [
    Router("/", route_handlers=[read_dev_outbox], include_in_schema=False, opt={PUBLIC_OPTION: True})
]
