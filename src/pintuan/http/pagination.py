"""Lists a page at a time, with opaque cursors that stay right while rows are added.

Plain lists go newest first, and their cursor is a `Cursor`. A list with filters or several orders is keyed:
each row has a key that rises along the list. Its cursor, a `KeyCursor`, is valid for that list alone.

A page ends early once it is long in bytes, whatever its items hold. Its cursor names the last item shown, so
that the next page begins with the one behind it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import msgspec
from litestar.params import QueryParameter

from pintuan.base.errors import InvalidInput
from pintuan.base.wire.cursors import Cursor, KeyCursor
from pintuan.base.wire.page import Page as Page
from pintuan.base.wire.times import has_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
PAGE_BYTES_MAX: Final = 1024 * 1024
"""The bytes of the items' JSON. The item that reaches it is the last one of its page."""
CURSOR_LENGTH_MAX: Final = 512
SCOPE_BYTES: Final = 6

# In a handler: `limit: LimitParameter = LIMIT_DEFAULT, cursor: CursorParameter = None`.
LimitParameter: TypeAlias = Annotated[
    int,
    QueryParameter(
        ge=1,
        le=LIMIT_MAX,
        description=f"How many items at most. A page ends earlier once it has {PAGE_BYTES_MAX} bytes.",
    ),
]
CursorParameter: TypeAlias = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the page before; absent for the first page.")
]


_encoder: Final = msgspec.json.Encoder()

T = TypeVar("T")
Row = TypeVar("Row")


def encode_token(place: msgspec.Struct) -> str:
    """Returns the opaque text of a place in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode("ascii")


def decode_token(text: str, type_: type[T]) -> T:
    """Returns the place that `encode_token` made into text.

    Raises:
        InvalidInput: the text is none of ours.
    """
    if len(text) > CURSOR_LENGTH_MAX:
        raise InvalidInput.of("cursor", f"is longer than {CURSOR_LENGTH_MAX} characters")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=type_)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidInput.of("cursor", "is not a cursor of this list") from error


def encode_cursor(created_at: datetime, id_: str) -> str:
    """Returns the cursor of a list ordered by time of creation, then id."""
    return encode_token(Cursor(created_at, id_))


def decode_cursor(text: str | None) -> Cursor | None:
    """Returns the place a cursor names; None without a cursor, which means the first page.

    Raises:
        InvalidInput: the text is none of ours.
    """
    if text is None:
        return None
    cursor = decode_token(text, Cursor)
    if not has_utc(cursor.created_at):
        raise InvalidInput.of("cursor", "is not a cursor of this list")
    return cursor


def fitting(items: Sequence[object]) -> int:
    """Returns how many of the items a page shows: up to the one with which it has `PAGE_BYTES_MAX`."""
    if len(_encoder.encode(items)) < PAGE_BYTES_MAX:
        return len(items)
    size_bytes = 0
    for count, item in enumerate(items, start=1):
        size_bytes += len(_encoder.encode(item))
        if size_bytes >= PAGE_BYTES_MAX:
            return count
    return len(items)


def page_of(
    rows: Sequence[Row], *, limit: int, item: Callable[[Row], T], place: Callable[[Row], tuple[datetime, str]]
) -> Page[T]:
    """Returns a page of at most `limit` items and `PAGE_BYTES_MAX` out of up to `limit + 1` rows.

    The one row more says that there is a next page; `place` gives a row's time of creation and id.
    """
    items = [item(row) for row in rows[:limit]]
    count = fitting(items)
    next_cursor = encode_cursor(*place(rows[count - 1])) if len(rows) > count else None
    return Page(items=items[:count], next_cursor=next_cursor)


def within_bytes(page: Page[T], *, place: Callable[[T], tuple[datetime, str]]) -> Page[T]:
    """Returns the page, or as much of it as has `PAGE_BYTES_MAX`; `place` gives an item's time and id."""
    count = fitting(page.items)
    if count == len(page.items):
        return page
    return Page(items=page.items[:count], next_cursor=encode_cursor(*place(page.items[count - 1])))


def scope_of(*filters: object) -> str:
    """Returns what a cursor of the list with these filters, in their order, is bound to."""
    return hashlib.blake2b(msgspec.json.encode(filters), digest_size=SCOPE_BYTES).hexdigest()


def decode_key_cursor(text: str | None, scope: str) -> KeyCursor | None:
    """Returns the place a cursor of the list names; None without a cursor, which means the first page.

    Raises:
        InvalidInput: the text is none of ours, or comes from a list with other filters or another order.
    """
    if text is None:
        return None
    cursor = decode_token(text, KeyCursor)
    if cursor.scope != scope:
        raise InvalidInput.of("cursor", "comes from a list with other filters or another order")
    return cursor


def key_page_of(
    rows: Sequence[Row],
    *,
    limit: int,
    scope: str,
    item: Callable[[Row], T],
    place: Callable[[Row], tuple[int, str]],
    is_cut: bool = False,
) -> Page[T]:
    """Returns a page of at most `limit` items and `PAGE_BYTES_MAX` of a keyed list.

    It is made out of up to `limit + 1` rows; `is_cut` tells that there are fewer although more come behind
    them. `place` gives a row's key and id.
    """
    items = [item(row) for row in rows[:limit]]
    count = fitting(items)
    has_more = len(rows) > count or is_cut
    next_cursor = encode_token(KeyCursor(scope, *place(rows[count - 1]))) if has_more else None
    return Page(items=items[:count], next_cursor=next_cursor)
