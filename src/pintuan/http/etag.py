"""Entity tags (RFC 9110 section 8.8.3), so that a page that polls pays for a body only when it changed."""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeVar, cast

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec

_DIGEST_BYTES: Final = 16
_NOT_MODIFIED: Final = 304
TAGS_LENGTH_MAX: Final = 1024
"""The tags read of an If-None-Match header: a few. With more of them the body is sent, which is
never wrong.
"""

# The entry in the contract of a handler that answers with `conditional`.
ETAG_HEADERS: Final = (ResponseHeader("ETag", description="Of what is shown.", documentation_only=True),)
NOT_MODIFIED: Final = {_NOT_MODIFIED: ResponseSpec(None, description="Still what If-None-Match names.")}

_encoder = msgspec.json.Encoder()

T = TypeVar("T", bound=msgspec.Struct)


def etag_of(body: msgspec.Struct, *, stable: msgspec.Struct | None = None) -> str:
    """Returns the tag of a body.

    `stable` is the body without what changes at every look, where there is such a part. Without it equal tags
    mean equal bytes, so the tag is strong; otherwise it is weak.
    """
    weak = "" if stable is None else "W/"
    encoded = _encoder.encode(body if stable is None else stable)
    return f'{weak}"{hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()}"'


def conditional(
    request: Request[Any, Any, Any], body: T, *, stable: msgspec.Struct | None = None
) -> Response[T]:
    """Returns 200 with the body and its tag, or 304 without a body when the caller already has it."""
    encoded = _encoder.encode(body)
    tag = etag_of(body, stable=stable)
    # The answer may depend on the caller, and must be asked for again each time.
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
    if is_known(request.headers.get("if-none-match"), tag):
        return cast("Response[T]", Response(content=b"", status_code=_NOT_MODIFIED, headers=headers))
    return cast("Response[T]", Response(content=encoded, media_type=MediaType.JSON, headers=headers))


def is_known(header: str | None, tag: str) -> bool:
    """Says whether an If-None-Match header names the tag.

    It compares weakly (RFC 9110 section 13.1.2): a leading `W/` makes no difference.
    """
    if header is None or len(header) > TAGS_LENGTH_MAX:
        return False
    if header.strip() == "*":
        return True
    return any(
        candidate.strip().removeprefix("W/") == tag.removeprefix("W/") for candidate in header.split(",")
    )
