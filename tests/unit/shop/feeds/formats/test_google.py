"""Feeds as shop systems write them: what is kept, and what is reported with its line."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from pintuan.shop.feeds.formats import (
    HEAD_BYTES,
    BadRow,
    FeedError,
    FeedItem,
    FeedRow,
    Note,
    read_feed,
    reading,
)
from pintuan.shop.feeds.formats.lines import LINE_CHARS_MAX

HEADER = (
    "id,title,description,link,image_link,additional_image_link,price,sale_price,item_group_id,color,size"
)


def stream(content: bytes | str) -> io.BufferedReader:
    data = content.encode() if isinstance(content, str) else content
    return io.BufferedReader(io.BytesIO(data), HEAD_BYTES)


def read(content: bytes | str) -> list[FeedRow]:
    return list(read_feed(stream(content)))


def row_of(price: str = "19.99 USD", **cells: str) -> str:
    values = {"id": "A1", "title": "Kettle", "price": price, **cells}
    return f"{','.join(values)}\n{','.join(values.values())}\n"


def items(rows: list[FeedRow]) -> list[str]:
    return [row.item_ref for row in rows if isinstance(row, FeedItem)]


def bad_lines(rows: list[FeedRow]) -> list[int]:
    return [row.line for row in rows if isinstance(row, BadRow)]


def only_reason(content: bytes | str) -> str:
    (row,) = read(content)
    assert isinstance(row, BadRow)
    return row.reason


def test_a_row_becomes_an_item_with_its_price_in_minor_units() -> None:
    rows = read(
        f"{HEADER}\nK-1,Kettle,Boils water,https://shop.example/k1,https://img.example/1.jpg,"
        '"https://img.example/2.jpg,https://img.example/1.jpg",19.99 USD,9.99 USD,G7,Red,1.5 l\n'
    )
    assert rows == [
        FeedItem(
            line=2,
            item_ref="K-1",
            group_ref="group:G7",
            sku="K-1",
            title="Kettle",
            variant_title="Red / 1.5 l",
            description="Boils water",
            images=("https://img.example/1.jpg", "https://img.example/2.jpg"),
            variant_images=("https://img.example/1.jpg", "https://img.example/2.jpg"),
            options=(("Color", "Red"), ("Size", "1.5 l")),
            list_price_minor=1999,
            currency="USD",
            currency_assumed=False,
            attributes={"color": "Red", "size": "1.5 l", "link": "https://shop.example/k1"},
        )
    ]


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("id\ttitle\tprice", "\t"),
        ("id;title;price", ";"),
        ("ID,Title,Price", ","),
        ("g:id,g:title,g:price", ","),
        ("# Required | the item's own id\nid,title,price", ","),
    ],
)
def test_the_separators_and_spellings_in_use_are_understood(header: str, separator: str) -> None:
    (row,) = read(f"{header}\n{separator.join(['A1', 'Kettle', '19.99 USD'])}\n")
    assert isinstance(row, FeedItem)
    assert (row.item_ref, row.title, row.list_price_minor) == ("A1", "Kettle", 1999)


def test_an_item_without_a_group_is_a_product_of_its_own() -> None:
    (row,) = read(row_of())
    assert isinstance(row, FeedItem)
    assert row.group_ref == "item:A1"
    assert row.variant_title == "Kettle"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_feed_is_read_in_the_encodings_spreadsheets_write(encoding: str) -> None:
    (row,) = read(row_of(title="Théière").encode(encoding))
    assert isinstance(row, FeedItem)
    assert row.title == "Théière"


@pytest.mark.parametrize(
    "content",
    [
        row_of(title="Théière").encode("latin-1"),
        row_of(title="Théière").encode("utf-16")[2:],
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    ],
)
def test_a_feed_in_another_encoding_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(FeedError, match="UTF-8") as raised:
        read(content)
    assert "\n" not in str(raised.value)


def test_a_row_with_broken_bytes_is_reported_and_the_others_kept() -> None:
    rows = read(b"id,title,price\n1,Pot,1.00 EUR\n2,Pan\xff,2.00 EUR\n3,Lid,3.00 EUR\n")
    assert items(rows) == ["1", "3"]
    assert rows[1] == BadRow(3, "has characters that are not valid UTF-8")


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n"])
def test_an_empty_feed_is_refused(content: str) -> None:
    with pytest.raises(FeedError, match="empty"):
        read(content)


def test_missing_columns_are_named() -> None:
    with pytest.raises(FeedError, match="no column id, price; it names sku, title"):
        read("sku,title\n1,Kettle\n")


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(FeedError, match="price more than once"):
        read("id,title,price,price\n")


def test_a_header_that_cannot_be_a_header_is_told_so() -> None:
    with pytest.raises(FeedError, match="the header cannot be read: field larger than field limit"):
        read("x" * 200_000)


def test_a_feed_of_only_a_header_has_no_rows() -> None:
    assert read(HEADER) == []


@pytest.mark.parametrize(
    ("price", "amount_minor", "currency"),
    [
        ("19.99 USD", 1999, "USD"),
        ("19.99usd", 1999, "USD"),
        ("20 EUR", 2000, "EUR"),
        ("1500 JPY", 1500, "JPY"),
        ("1500.00 JPY", 1500, "JPY"),
        ("1.250 KWD", 1250, "KWD"),
    ],
)
def test_prices_are_read_exactly(price: str, amount_minor: int, currency: str) -> None:
    (row,) = read(row_of(price))
    assert isinstance(row, FeedItem)
    assert (row.list_price_minor, row.currency) == (amount_minor, currency)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("", "has no price"),
        ("19.99 pieces", "must be like '19.99 USD'"),
        ("19.99 US", "must be like '19.99 USD'"),
        ("-1.00 USD", "must be like '19.99 USD'"),
        ("19.999 USD", "USD has 2 decimals"),
        ("1500.50 JPY", "JPY has 0 decimals"),
        ("19.99 QQQ", "not an active ISO 4217"),
        ("0.00 USD", "price of nothing"),
        ("99999999999.00 USD", "above the largest amount"),
    ],
)
def test_a_price_that_is_none_is_a_bad_row(price: str, reason: str) -> None:
    assert reason in only_reason(row_of(price))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"id": ""}, "has no id"),
        ({"title": "  "}, "has no title"),
        ({"id": "x" * 101}, "has id longer than 100"),
        ({"item_group_id": "x" * 101}, "has item_group_id longer"),
        ({"id": "a\x07b"}, "control character"),
    ],
)
def test_a_cell_that_does_not_fit_is_a_bad_row(cells: dict[str, str], reason: str) -> None:
    assert reason in only_reason(row_of(**cells))


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"title": "x" * 201}, "has title longer than 200 characters; it was cut"),
        ({"description": "x" * 10_001}, "has a description longer than 10000 characters; it was cut"),
        ({"color": "x" * 201}, "has color longer than 200 characters; it was cut"),
        ({"brand": "x" * 2_001}, "has brand longer than 2000 characters; it was cut"),
        ({"image_link": "ftp://img.example/1.jpg"}, "no http(s) address, which was left out"),
        ({"image_link": "1.jpg"}, "no http(s) address, which was left out"),
        ({"image_link": "https://img.example/" + "x" * 2_000}, "no http(s) address, which was left out"),
    ],
)
def test_what_is_optional_or_too_long_costs_no_item_and_is_told(cells: dict[str, str], told: str) -> None:
    item, note = read(row_of(**cells))
    assert isinstance(item, FeedItem)
    assert isinstance(note, Note)
    assert told in note.text
    assert item.images == ()
    assert len(item.title) <= 200


def test_more_images_than_a_product_holds_are_left_out_and_told() -> None:
    images = ",".join(f"https://img.example/{n}.jpg" for n in range(251))
    item, note = read(f'id,title,price,additional_image_link\n1,Pot,1.00 EUR,"{images}"\n')
    assert isinstance(item, FeedItem)
    assert len(item.images) == 250
    assert note == Note(2, "has more than 250 images; the others were left out")


def test_a_repeated_id_is_reported_and_the_first_row_kept() -> None:
    rows = read("id,title,price\n1,Pot,1.00 EUR\n2,Pan,1.00 EUR\n1,Lid,1.00 EUR\n")
    assert items(rows) == ["1", "2"]
    assert rows[2] == BadRow(4, "repeats the id '1'")


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    rows = read('id,title,price,description\n1,Pot,1.00 EUR,"two\nlines"\n\n2,Pan,free,\n3,Lid,1.00 EUR,\n')
    assert items(rows) == ["1", "3"]
    assert bad_lines(rows) == [5]
    assert [row.line for row in rows] == [2, 5, 6]


def test_a_row_with_too_many_cells_is_bad_and_one_with_too_few_may_leave_out_optional_ones() -> None:
    rows = read(
        "id,title,price,description\n1,Pot,1.00 EUR\n2,Pan,1.00 EUR,big, round\n3,Lid\n4,Cup,1 EUR,x,,\n"
    )
    assert items(rows) == ["1", "4"]
    assert bad_lines(rows) == [3, 4]


@pytest.mark.parametrize(
    "later", ['2,"Pan, big",1.00 EUR\n3,Lid,1.00 EUR\n', "2,Pan,1.00 EUR\n3,Lid,1.00 EUR\n"]
)
def test_a_quote_left_open_costs_one_row(later: str) -> None:
    rows = read(f'id,title,price\n1,"Pot,1.00 EUR\n{later}')
    assert items(rows) == ["2", "3"]
    assert bad_lines(rows) == [2]


def test_a_quote_left_open_at_the_top_of_a_long_feed_costs_one_row() -> None:
    rows = read(
        'id,title,price\n0,"Pot,1.00 EUR\n' + "".join(f"{n},Pan,1.00 EUR\n" for n in range(1, 20_000))
    )
    assert len(items(rows)) == 19_999
    assert bad_lines(rows) == [2]


def test_quotes_inside_a_tab_separated_cell_are_kept() -> None:
    rows = read('id\ttitle\tprice\n1\t5" screen\t1.00 EUR\n2\t"Best" shirt\t1.00 EUR\n')
    assert [row.title for row in rows if isinstance(row, FeedItem)] == ['5" screen', "Best shirt"]


def test_a_line_without_end_is_a_bad_row_and_does_not_fill_the_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"id,title,price\n1,"
        for _ in range(64):
            yield b"x" * LINE_CHARS_MAX
        yield b",1.00 EUR\n2,Pan,1.00 EUR\n"

    tracemalloc.start()
    try:
        rows = list(read_feed(io.BufferedReader(_Chunked(chunks()), HEAD_BYTES)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert items(rows) == ["2"]
    assert rows[0] == BadRow(2, f"is longer than {LINE_CHARS_MAX} characters")
    assert peak_bytes < 32 * LINE_CHARS_MAX


def test_a_hundred_thousand_rows_are_read_in_bounded_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"id,title,price,description\n"
        for n in range(100_000):
            yield f"item-{n},Pot,1.00 EUR,{'y' * 200}\n".encode()

    tracemalloc.start()
    try:
        count = sum(
            isinstance(row, FeedItem) for row in read_feed(io.BufferedReader(_Chunked(chunks()), HEAD_BYTES))
        )
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak_bytes < 20 * 1024 * 1024


def test_a_feed_beyond_the_row_limit_says_where_reading_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROWS_MAX", 2)
    rows = read_feed(stream("id,title,price\n1,Pot,1 EUR\n2,Pan,1 EUR\n3,Lid,1 EUR\n"))
    assert [next(rows).line, next(rows).line] == [2, 3]
    with pytest.raises(FeedError, match="from line 4"):
        next(rows)


class _Chunked(io.RawIOBase):
    """A raw stream of chunks made as they are read, so that a test's input takes no memory either."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # `BufferedReader` hands in no other kind.
        self._rest = self._rest or next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
