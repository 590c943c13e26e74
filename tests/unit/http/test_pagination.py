"""Cursors lead back to their place, and nothing else passes for one."""

import base64
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pintuan.base.errors import InvalidInput
from pintuan.base.wire.cursors import Cursor, KeyCursor
from pintuan.http.pagination import (
    CURSOR_LENGTH_MAX,
    PAGE_BYTES_MAX,
    Page,
    decode_cursor,
    decode_key_cursor,
    encode_cursor,
    key_page_of,
    page_of,
    scope_of,
    within_bytes,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


Sized = tuple[int, str]


def pages_of(rows: list[Sized], limit: int, *, read_max: int, keyed: bool) -> list[Page[str]]:
    """All pages of a list whose rows are a size and an id; a keyed one is cut after `read_max` rows."""
    pages: list[Page[str]] = []
    begin = 0
    while True:
        read = rows[begin : begin + limit + 1]
        cursor: Cursor | KeyCursor | None
        if keyed:
            page = key_page_of(
                read[:read_max],
                limit=limit,
                scope="s",
                item=lambda row: row[1] + "x" * row[0],
                place=lambda row: (int(row[1]), row[1]),
                is_cut=len(read) > read_max,
            )
            cursor = decode_key_cursor(page.next_cursor, "s")
        else:
            page = page_of(
                read,
                limit=limit,
                item=lambda row: row[1] + "x" * row[0],
                place=lambda row: (NOON, row[1]),
            )
            cursor = decode_cursor(page.next_cursor)
        pages.append(page)
        if cursor is None:
            return pages
        assert page.items, "a cursor that leads nowhere"
        begin = 1 + [id_ for _, id_ in rows].index(cursor.id)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.sampled_from([0, 10, 100_000, 400_000, PAGE_BYTES_MAX, 2 * PAGE_BYTES_MAX]), max_size=9
    ),
    limit=st.integers(1, 10),
    read_max=st.integers(1, 11),
    keyed=st.booleans(),
)
def test_pages_together_are_the_list_whatever_its_items_hold(
    sizes: list[int], limit: int, read_max: int, keyed: bool
) -> None:
    rows = [(size, str(number)) for number, size in enumerate(sizes)]

    pages = pages_of(rows, limit, read_max=read_max, keyed=keyed)

    assert [item for page in pages for item in page.items] == [id_ + "x" * size for size, id_ in rows]
    for page in pages:
        assert len(page.items) <= limit
        assert sum(map(len, page.items[:-1])) < PAGE_BYTES_MAX


def test_a_page_ends_with_the_item_that_makes_it_long_and_the_next_one_begins_behind_it() -> None:
    rows = [(NOON, "a"), (NOON, "b"), (NOON, "c")]

    page = page_of(rows, limit=3, item=lambda row: row[1] * (PAGE_BYTES_MAX // 2), place=lambda row: row)

    assert [item[0] for item in page.items] == ["a", "b"]
    assert decode_cursor(page.next_cursor) == Cursor(NOON, "b")
    made = within_bytes(Page(["a", "b" * PAGE_BYTES_MAX, "c"], None), place=lambda item: (NOON, item[0]))
    assert [item[0] for item in made.items] == ["a", "b"]
    assert decode_cursor(made.next_cursor) == Cursor(NOON, "b")
    short = Page(["a"], "cursor")
    assert within_bytes(short, place=lambda item: (NOON, item)) is short


@given(
    microseconds=st.integers(0, 10**15),
    id_=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=128),
)
def test_a_cursor_leads_back_to_its_place(microseconds: int, id_: str) -> None:
    created_at = NOON + timedelta(microseconds=microseconds)

    assert decode_cursor(encode_cursor(created_at, id_)) == Cursor(created_at, id_)


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor(None) is None


def base64_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "!!!!",
        "ä",
        base64_of("{}"),
        base64_of("[]"),
        base64_of('["2026-05-01T12:00:00Z"]'),
        base64_of('["2026-05-01T12:00:00", "id"]'),
        base64_of('["2026-05-01T12:00:00Z", ""]'),
        base64_of('["2026-05-01T12:00:00Z", "id", 1]'),
        "a" * (CURSOR_LENGTH_MAX + 1),
    ],
)
def test_text_that_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        decode_cursor(text)

    assert [error.field for error in refusal.value.errors] == ["cursor"]


def test_a_row_too_many_means_a_next_page_after_the_last_one_shown() -> None:
    rows = [(NOON, "a"), (NOON, "b"), (NOON, "c")]

    page = page_of(rows, limit=2, item=lambda row: row[1], place=lambda row: row)

    assert page.items == ["a", "b"]
    assert decode_cursor(page.next_cursor) == Cursor(NOON, "b")


@pytest.mark.parametrize("rows", [[], [(NOON, "a")], [(NOON, "a"), (NOON, "b")]])
def test_rows_that_fit_are_the_last_page(rows: list[tuple[datetime, str]]) -> None:
    page = page_of(rows, limit=2, item=lambda row: row[1], place=lambda row: row)

    assert page.items == [id_ for _, id_ in rows]
    assert page.next_cursor is None


def test_a_key_cursor_comes_back_for_its_own_list_only() -> None:
    scope = scope_of("deals", "tea", None, "newest")
    page = key_page_of(
        [(7, "a"), (9, "b")], limit=1, scope=scope, item=lambda row: row, place=lambda row: row
    )
    assert page.items == [(7, "a")]
    assert decode_key_cursor(page.next_cursor, scope) == KeyCursor(scope, 7, "a")
    assert decode_key_cursor(None, scope) is None
    for other in (
        ("deals", "te", "a", "newest"),
        ("products", "tea", None, "newest"),
        ("deals", None, "tea"),
    ):
        with pytest.raises(InvalidInput, match="other filters"):
            decode_key_cursor(page.next_cursor, scope_of(*other))


@pytest.mark.parametrize("key", [2**63, "7", None])
def test_a_key_cursor_that_no_list_gave_is_refused(key: object) -> None:
    forged = base64.urlsafe_b64encode(msgspec.json.encode(["scope", key, "a"])).decode()
    with pytest.raises(InvalidInput, match="not a cursor of this list"):
        decode_key_cursor(forged, "scope")
