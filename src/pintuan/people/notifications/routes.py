"""`/dev/outbox`: what would have been delivered, for developers; registered in development only."""

from __future__ import annotations

from html import escape
from typing import Annotated, Final

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.params import QueryParameter

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.http.bodies import ApiRequest
from pintuan.http.parameters import InjectedResources
from pintuan.people.notifications.schemas import Outbox, OutboxItem
from pintuan.people.notifications.service import read_outbox

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


HANDLERS: Final = ()
DEV_HANDLERS: Final = [
    Router("/", route_handlers=[read_dev_outbox], include_in_schema=False, opt={PUBLIC_OPTION: True})
]
