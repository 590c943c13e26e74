"""Lists a page at a time, with opaque cursors that stay right while rows are added.

Plain lists go newest first, and their cursor is a `Cursor`. A list with filters or several orders is keyed:
each row has a key that rises along the list, and its cursor, a `KeyCursor`, counts for that list alone.
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
CURSOR_LENGTH_MAX: Final = 512
SCOPE_BYTES: Final = 6

# In a handler: `limit: LimitParameter = LIMIT_DEFAULT, cursor: CursorParameter = None`.
LimitParameter: TypeAlias = Annotated[
    int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many items at most.")
]
CursorParameter: TypeAlias = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the page before; absent for the first page.")
]


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


def page_of(
    rows: Sequence[Row], *, limit: int, item: Callable[[Row], T], place: Callable[[Row], tuple[datetime, str]]
) -> Page[T]:
    """Returns a page of at most `limit` items out of up to `limit + 1` rows.

    The one row more says that there is a next page; `place` gives a row's time of creation and id.
    """
    shown = rows[:limit]
    next_cursor = encode_cursor(*place(shown[-1])) if len(rows) > limit else None
    return Page(items=[item(row) for row in shown], next_cursor=next_cursor)


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
) -> Page[T]:
    """Returns a page of at most `limit` items out of up to `limit + 1` rows of a keyed list.

    `place` gives a row's key and id.
    """
    shown = rows[:limit]
    next_cursor = encode_token(KeyCursor(scope, *place(shown[-1]))) if len(rows) > limit else None
    return Page(items=[item(row) for row in shown], next_cursor=next_cursor)
