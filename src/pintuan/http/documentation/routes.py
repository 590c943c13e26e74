"""`/schema/openapi.json`, `/docs` with Swagger UI, and `/docs/problems`; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Request, Response, Router, get
from litestar.params import FromPath

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.base.errors import NotFound
from pintuan.http.problems import kinds

ASSET_LIFETIME_S: Final = 24 * 3600
# Swagger UI sets style attributes and draws with data URLs; scripts come from this server or not at all.
_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE_HEADERS: Final = {
    "content-security-policy": _CONTENT_POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_BUNDLE_ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_OWN_ASSETS: Final = {"initializer.js": "text/javascript", "page.css": "text/css"}

_DOCS_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pintuan API</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript><main>This page needs JavaScript.
<a href="/schema/openapi.json">The document itself</a> does not.</main></noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/initializer.js"></script>
</body>
</html>
"""

_PROBLEMS_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pintuan problem codes</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body><main>
<h1>Problem codes</h1>
<p>Every error is <code>application/problem+json</code> (RFC 9457). <a href="/docs">The whole API</a>.</p>
<table>
<thead><tr><th>Code</th><th>Status</th><th>Meaning</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main></body>
</html>
"""


@get("/schema/openapi.json", media_type=MediaType.JSON, sync_to_thread=True)
def read_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answers the whole contract; made at the first call."""
    return Response(
        request.app.state.openapi(), media_type=MediaType.JSON, headers={"cache-control": "no-cache"}
    )


@get("/docs", media_type=MediaType.HTML)
async def read_docs() -> Response[str]:
    """Answers the page on which one can try the API."""
    return Response(_DOCS_PAGE, media_type=MediaType.HTML, headers=_PAGE_HEADERS)


@get("/docs/problems", media_type=MediaType.HTML)
async def read_problems() -> Response[str]:
    """Answers the page that every problem document's `type` points to."""
    rows = "\n".join(
        f'<tr id="{escape(kind.code)}"><td><code>{escape(kind.code)}</code></td>'
        f"<td>{kind.status}</td><td>{escape(kind.title)}. {escape(kind.detail)}</td></tr>"
        for kind in kinds()
    )
    return Response(_PROBLEMS_PAGE.format(rows=rows), media_type=MediaType.HTML, headers=_PAGE_HEADERS)


@get("/docs/assets/{name:str}", sync_to_thread=True)
def read_asset(name: FromPath[str]) -> Response[bytes]:
    """Answers one of the few files the pages need; no other name reaches the file system."""
    if name in _OWN_ASSETS:
        content = files("pintuan.http.documentation").joinpath("assets", name).read_bytes()
        media_type = _OWN_ASSETS[name]
    elif name in _BUNDLE_ASSETS:
        content = (_bundle_directory() / name).read_bytes()
        media_type = _BUNDLE_ASSETS[name]
    else:
        raise NotFound("file")
    return Response(
        content, media_type=media_type, headers={"cache-control": f"public, max-age={ASSET_LIFETIME_S}"}
    )


def _bundle_directory() -> Path:
    """Finds the files of Swagger UI without importing the package around them, which needs frameworks."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("file")
    return Path(spec.submodule_search_locations[0]) / "static"


ROUTES: Final = [
    Router(
        "/",
        route_handlers=[read_openapi, read_docs, read_problems, read_asset],
        include_in_schema=False,
        opt={PUBLIC_OPTION: True},
    )
]
