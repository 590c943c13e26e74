"""RSS and Atom feeds: what is kept, what is told with its line, and what a hostile document cannot do."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from pintuan.shop.feeds.formats import BadRow, FeedError, FeedItem, rss
from pintuan.shop.feeds.formats.rss import read_rss
from tests.unit.shop.feeds.formats.reading_feeds import bad_rows, items, read

ITEM = "<g:id>K-1</g:id><title>Kettle</title><g:price>19.99 USD</g:price>"


def document(*bodies: str, head: str = "") -> str:
    entries = "\n".join(f"<item>{body}</item>" for body in bodies)
    return (
        f'<?xml version="1.0"?>{head}\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
        f"<title>Shop</title>\n{entries}\n</channel></rss>"
    )


def test_an_rss_item_becomes_an_item_with_its_line() -> None:
    (item,) = items(
        read(
            document(
                ITEM
                + "<description>&lt;p&gt;Boils&lt;/p&gt;</description><g:item_group_id>G7</g:item_group_id>"
                "<g:color>Red</g:color><g:image_link>https://img.example/1.jpg</g:image_link>"
                "<g:additional_image_link>https://img.example/2,a.jpg</g:additional_image_link>"
                "<g:additional_image_link>https://img.example/3.jpg</g:additional_image_link>"
                "<g:sale_price>9.99 USD</g:sale_price><g:brand>Harbour</g:brand>"
            )
        )
    )
    assert (item.line, item.item_ref, item.group_ref) == (4, "K-1", "group:G7")
    assert (item.title, item.description, item.list_price_minor) == ("Kettle", "Boils", 1999)
    assert item.images == (
        "https://img.example/1.jpg",
        "https://img.example/2,a.jpg",
        "https://img.example/3.jpg",
    )
    assert item.options == (("Color", "Red"),)
    assert item.attributes == {"color": "Red", "brand": "Harbour"}


def test_an_atom_entry_becomes_an_item() -> None:
    (item,) = items(
        read(
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">'
            "<title>Shop</title><entry><g:id>K-1</g:id><id>tag:shop,2030:1</id><title>Kettle</title>"
            '<summary>Boils</summary><link href="https://shop.example/k1"/>'
            "<g:price>5 EUR</g:price></entry></feed>"
        )
    )
    assert (item.item_ref, item.title, item.description) == ("K-1", "Kettle", "Boils")
    assert item.attributes["link"] == "https://shop.example/k1"


def test_googles_own_element_counts_before_the_formats() -> None:
    (item,) = items(read(document(ITEM + "<g:title>Gooseneck Kettle</g:title>")))
    assert item.title == "Gooseneck Kettle"


def test_a_field_inside_a_field_is_not_the_items() -> None:
    shipping = "<g:shipping><g:country>US</g:country><g:price>3.00 USD</g:price></g:shipping>"
    (item,) = items(read(document(f"{shipping}{ITEM}")))
    assert item.list_price_minor == 1999


def test_bad_items_are_told_with_their_line_and_the_others_kept() -> None:
    rows = read(document("<g:id>1</g:id><title>Pot</title>", ITEM, ITEM))
    assert [item.item_ref for item in items(rows)] == ["K-1"]
    assert bad_rows(rows) == [BadRow(4, "has no price"), BadRow(6, "repeats the id 'K-1'")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_document_is_read_in_its_encoding(encoding: str) -> None:
    content = document(ITEM.replace("Kettle", "Théière"))
    if encoding == "utf-16":
        content = content.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-16"?>')
    (item,) = items(read(content.encode(encoding)))
    assert item.title == "Théière"


def test_a_document_that_breaks_off_keeps_what_came_before_and_says_where() -> None:
    whole = document(ITEM, "<g:id>K-2</g:id>", "")
    rows = read_rss(io.BytesIO(whole[: whole.index("<g:id>K-2") + 6].encode()), currency="USD")
    first = next(rows)
    assert isinstance(first, FeedItem)
    assert first.item_ref == "K-1"
    with pytest.raises(FeedError, match="breaks at line 5, in item 2"):
        next(rows)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss SYSTEM "http://evil.example/rss.dtd">',
    ],
)
def test_a_document_type_is_refused_before_any_entity(doctype: str) -> None:
    with pytest.raises(FeedError, match="document type"):
        read(document("<g:id>&x;</g:id>", head=doctype))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<html><body>Not found</body></html>", "no item and no entry"),
        ("<", "breaks at line 1"),
        ("<a>" * 100, "nested deeper than 64"),
    ],
)
def test_a_document_that_is_no_feed_is_refused(content: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        read(content)


def test_an_item_that_goes_on_and_on_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rss, "ITEM_CHARS_MAX", 100)
    monkeypatch.setattr(rss, "FIELDS_MAX", 5)
    rows = read(document("<g:mpn>" + "x" * 101 + "</g:mpn>" + ITEM, "<g:a/>" * 6 + ITEM, ITEM))
    assert [bad.reason for bad in bad_rows(rows)] == [
        "is longer than 100 characters",
        "has more than 5 fields",
    ]
    assert len(items(rows)) == 1


@pytest.mark.parametrize("encoding", ["bogus", "utf-7", "base64", "idna"])
def test_an_encoding_nobody_can_read_is_told_so(encoding: str) -> None:
    with pytest.raises(FeedError, match=r"declares an encoding that cannot be read .*save the feed as UTF-8"):
        read(f'<?xml version="1.0" encoding="{encoding}"?><rss/>')


def test_a_tag_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rss, "TAG_BYTES_MAX", 200_000)
    with pytest.raises(FeedError, match="tag longer than 200000 bytes"):
        read('<rss a="' + "x" * 1_000_000)


def test_a_long_document_is_read_in_bounded_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>'
        for n in range(50_000):
            yield (
                f"<item><g:id>{n}</g:id><title>Pot</title><description>{'y' * 200}</description>"
                "<g:price>1 EUR</g:price></item><junk>lies between</junk>"
            ).encode()
        yield b"</channel></rss>"

    tracemalloc.start()
    try:
        count = sum(isinstance(row, FeedItem) for row in read_rss(_Chunked(chunks()), currency="USD"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak_bytes < 4 * 1024 * 1024


class _Chunked:
    """A stream of chunks made as they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int, /) -> bytes:
        return b"".join(chunk for _, chunk in zip(range(100), self._chunks, strict=False))
