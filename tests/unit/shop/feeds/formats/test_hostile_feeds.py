"""Feeds made to cost more than they are long; work is counted, because a clock tells of the machine too."""

from __future__ import annotations

import io
from collections.abc import Iterator
from xml.parsers import expat

import pytest

from pintuan.shop.feeds.formats import (
    HEAD_BYTES,
    BadRow,
    FeedError,
    FeedItem,
    Halt,
    google,
    lines,
    read_feed,
    rss,
)
from pintuan.shop.feeds.formats.lines import REREAD_CHARS_FREE, REREADS_PER_CHAR, Lines
from pintuan.shop.feeds.formats.tables import COLUMNS_MAX
from tests.unit.shop.feeds.formats.reading_feeds import bad_rows, items, read

HEADER = "id,title,price\n"
OPENS_A_QUOTE = 'x","y\n'
GOOD = "K-{},Kettle,5.00 USD\n"


@pytest.fixture
def chars_handed_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all lines that rows were read from, those read again as often as they were."""
    lengths: list[int] = []
    original = Lines.__next__

    def counting(self: Lines) -> str:
        line = original(self)
        lengths.append(len(line))
        return line

    monkeypatch.setattr(Lines, "__next__", counting)
    return lengths


def rss_of(fields: str) -> str:
    item = f"<item><id>1</id><title>T</title><price>5 USD</price>{fields}</item>"
    return f"<rss><channel>{item}</channel></rss>"


def ending_with(content: str, *, clock: Iterator[float], within_s: float) -> tuple[int, str]:
    """How many rows were read until the deadline, and what was said there."""
    count = 0
    halt = Halt(within_s, now_s=lambda: next(clock))
    stream = io.BufferedReader(io.BytesIO(content.encode()), HEAD_BYTES)
    with pytest.raises(FeedError) as stopped:  # noqa: PT012 - how far it came is what is tested.
        for _ in read_feed(stream, halt=halt):
            count += 1
    return count, str(stopped.value)


def test_lines_that_all_open_a_quote_are_read_three_times_in_all(
    chars_handed_out: list[int],
) -> None:
    feed = HEADER + OPENS_A_QUOTE * 50_000
    rows = read(feed)
    assert not items(rows)
    assert sum(chars_handed_out) <= (1 + REREADS_PER_CHAR) * len(feed) + REREAD_CHARS_FREE


def test_lines_that_are_given_up_with_a_quote_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "REREAD_CHARS_FREE", 0)
    monkeypatch.setattr(lines, "REREADS_PER_CHAR", 0)
    rows = read(HEADER + GOOD.format(1) + '"open' + GOOD.format(2) * 3)
    assert [item.item_ref for item in items(rows)] == ["K-1"]
    assert [(row.line, row.reason.rpartition("; ")[2]) for row in bad_rows(rows)] == [
        (3, "with it, the lines up to 5 were given up")
    ]


def test_many_rows_with_a_stray_quote_each_cost_one_row() -> None:
    feed = HEADER + "".join(
        f'K-{n},"Kettle,5.00 USD\n' if n % 100 == 0 else GOOD.format(n) for n in range(10_000)
    )
    rows = read(feed)
    assert len(bad_rows(rows)) == 100
    assert len(items(rows)) == 9_900


def test_a_header_of_countless_columns_is_refused() -> None:
    with pytest.raises(FeedError, match=f"at most {COLUMNS_MAX}"):
        read(HEADER.strip() + ",additional_image_link" * COLUMNS_MAX + "\n")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (
            f'<rss xmlns:a="{"u" * 1_001}"><channel>{"<a:x/>" * 10}</channel></rss>',
            "namespace longer than 1000 characters",
        ),
        ("".join(f"<x{n}>" for n in range(65)) + rss_of(""), "nested deeper than 64"),
        (
            "<rss>" + "".join(f"<x{n}/>" for n in range(rss.NAMES_MAX + 1)) + "</rss>",
            "more than 10000 different names",
        ),
        (
            "<rss>" + "".join(f"<x a{n}=''/>" for n in range(rss.NAMES_MAX + 1)) + "</rss>",
            "more than 10000 different names",
        ),
        (
            "<rss>" + "".join(f"<x xmlns:p{n}='u'/>" for n in range(rss.NAMES_MAX + 1)) + "</rss>",
            "more than 10000 different names",
        ),
    ],
)
def test_names_that_would_fill_the_memory_are_refused(document: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        read(document)


def test_the_parser_keeps_no_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    create = expat.ParserCreate

    def creating(*args: object, **options: object) -> expat.XMLParserType:
        parser = create(*args, **options)  # type: ignore[arg-type]
        made.append(parser)
        return parser

    monkeypatch.setattr(expat, "ParserCreate", creating)
    assert len(items(read(rss_of("<brand>Harbour</brand>")))) == 1
    assert [parser.intern for parser in made] == [None]


@pytest.mark.parametrize("markup", ["<![x", "<a " * 33_000, "&#" + "1" * 5_000 + ";"])
def test_markup_that_is_none_costs_no_item(markup: str) -> None:
    escaped = markup.replace("&", "&amp;").replace("<", "&lt;")
    (item,) = items(read(rss_of(f"<description>Boils {escaped}</description>")))
    assert item.description.startswith("Boils")


@pytest.mark.parametrize("content", [HEADER + GOOD.format(1), rss_of("")])
def test_what_nobody_foresaw_in_a_row_is_a_bad_row(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unforeseen(*_: object, **__: object) -> None:
        raise AssertionError("we should not get here!")

    monkeypatch.setattr(google, "price_of", unforeseen)
    (row,) = read(content)
    assert isinstance(row, BadRow)
    assert row.reason == "cannot be read (AssertionError)"


def test_numbers_of_any_length_are_no_error() -> None:
    digits = "1" * 5_000
    (row,) = read(f"{HEADER}1,T,{digits} USD\n")
    assert isinstance(row, BadRow)
    assert row.reason == f"has price '{digits[:40]}'…, which is longer than 40 characters"
    rows = read(f"Handle,Title,Variant Price,Image Src,Image Position\na,T,5,https://x.example/1,{digits}\n")
    assert [item.images for item in items(rows)] == [("https://x.example/1",)]


def test_the_rows_of_a_product_are_held_up_to_so_much_text() -> None:
    page = "x" * 100_000
    rows = read("Handle,Title,Variant Price,Vendor\n" + f"a,T,5,{page}\n" * 50)
    assert "beyond the 4000000 characters a product may have" in bad_rows(rows)[0].reason


@pytest.mark.parametrize(
    ("content", "rows", "line"),
    [
        (HEADER + "\n" * 1_000, 0, 10),
        (HEADER + GOOD.format(1) + OPENS_A_QUOTE * 1_000, 1, 9),
        (HEADER + "".join(GOOD.format(n) for n in range(1_000)), 4, 6),
        (rss_of("") + " " * 300_000 + "\n" * 300_000, 1, 1),
    ],
)
def test_reading_ends_at_the_first_look_after_the_deadline(content: str, rows: int, line: int) -> None:
    looks = iter(float(second) for second in range(100))
    read_rows, said = ending_with(content, clock=looks, within_s=10.0 if "<" not in content else 3.0)
    assert (read_rows, f"came to line {line};" in said) == (rows, True), said
    # The deadline's own look and those within it, and then no more.
    assert next(looks) == (11.0 if "<" not in content else 4.0)


def test_reading_ends_when_it_is_told_to() -> None:
    halt = Halt()
    content = HEADER + "".join(GOOD.format(n) for n in range(1_000))
    rows = read_feed(io.BufferedReader(io.BytesIO(content.encode()), HEAD_BYTES), halt=halt)
    assert isinstance(next(rows), FeedItem)
    halt.tell()
    with pytest.raises(FeedError, match="broken off at line 3"):
        next(rows)
