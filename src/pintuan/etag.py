"""Entity tags (RFC 9110 section 8.8.3), so that a page that polls pays for a body only when it changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
from litestar import MediaType, Request, Response

if TYPE_CHECKING:
    from collections.abc import Collection

_DIGEST_BYTES: Final = 16
_NOT_MODIFIED: Final = 304

_encoder = msgspec.json.Encoder()

T = TypeVar("T", bound=msgspec.Struct)


def etag_of(body: msgspec.Struct, *, exclude: Collection[str] = ()) -> str:
    """Returns the tag of a body; fields in `exclude` (its own, not nested) may change without changing it.

    Without exclusions equal tags mean equal bytes, so the tag is strong; otherwise it is weak.
    """
    return _tag(body, _encoder.encode(body), exclude)


def conditional(request: Request[Any, Any, Any], body: T, *, exclude: Collection[str] = ()) -> Response[T]:
    """Returns 200 with the body and its tag, or 304 without a body when the caller already has it."""
    encoded = _encoder.encode(body)
    tag = _tag(body, encoded, exclude)
    # What a caller sees may depend on who they are, and must be asked for again each time.
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
    if _matches(request.headers.get("if-none-match"), tag):
        return cast("Response[T]", Response(content=b"", status_code=_NOT_MODIFIED, headers=headers))
    return cast("Response[T]", Response(content=encoded, media_type=MediaType.JSON, headers=headers))


def _tag(body: msgspec.Struct, encoded: bytes, exclude: Collection[str]) -> str:
    weak = ""
    if exclude:
        kept = {name: value for name, value in msgspec.structs.asdict(body).items() if name not in exclude}
        encoded = _encoder.encode(kept)
        weak = "W/"
    return f'{weak}"{hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()}"'


def _matches(header: str | None, tag: str) -> bool:
    """If-None-Match compares weakly (RFC 9110 section 13.1.2): a leading `W/` makes no difference."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(
        candidate.strip().removeprefix("W/") == tag.removeprefix("W/") for candidate in header.split(",")
    )
