"""What other systems write around and into their feeds, and what was plainly meant by it."""

from __future__ import annotations

import codecs

import pytest

from pintuan.shop.feeds.formats import BadRow, FeedError, FeedItem, encoding_of
from pintuan.shop.feeds.formats.tables import HEADER_CHARS_MAX, PREAMBLE_LINES_MAX
from tests.unit.shop.feeds.formats.reading_feeds import bad_rows, items, notes, read

NAMESPACE = "http://base.google.com/ns/1.0"


def rss(item: str, *, namespace: str = NAMESPACE, head: str = '<?xml version="1.0"?>') -> str:
    return f'{head}<rss version="2.0" xmlns:g="{namespace}"><channel><item>{item}</item></channel></rss>'


@pytest.mark.parametrize(
    "above",
    [
        "sep=;\r\n",
        '"sep=;"\r\n',
        "SEP=;\r\n",
        "\ufeffsep=;\r\n",
        "\ufeff\ufeffsep=;\r\n",
        "# made by a shop; 2030\r\n",
        '"# Required; the item\'s own id"\r\n',
        "\r\n \r\n",
        ";;;\r\n",
        "Products of the tea house\r\n",
        "Products; 2030-01-01;\r\nsep=;\r\n\r\n",
        '"quoted ""title"" of the file"\r\n',
        '"broken" title\r\n',
    ],
)
def test_whatever_stands_above_a_header_is_passed_over(above: str) -> None:
    rows = read(f'{above}id;title;price\r\nA1;"Green; mild";9.99 EUR\r\n')
    assert [(item.item_ref, item.title) for item in items(rows)] == [("A1", "Green; mild")]
    assert bad_rows(rows) == []


def test_the_delimiter_that_is_told_counts_before_the_commonest() -> None:
    rows = read("sep=|\nid|title|price|a,b,c,d,e\nA1|Tea|9.99 EUR|\n")
    assert [item.title for item in items(rows)] == ["Tea"]


def test_a_delimiter_is_found_beside_commoner_characters_in_names() -> None:
    rows = read('id;title;price;"weight, gross, net, of, all"\nA1;Tea;9.99 EUR;1\n')
    assert [item.title for item in items(rows)] == ["Tea"]


def test_a_header_is_looked_for_in_few_lines_of_few_characters() -> None:
    header = "id,title,price\nA1,Tea,1 EUR\n"
    assert items(read("x\n" * (PREAMBLE_LINES_MAX - 1) + header))
    for above in ("x\n" * PREAMBLE_LINES_MAX, "x\n"):
        wide = header.replace("\n", "," * HEADER_CHARS_MAX + "\n", 1) if above == "x\n" else header
        with pytest.raises(FeedError, match="no column id, title, price; it names x"):
            read(above + wide)


@pytest.mark.parametrize(
    "padded",
    [
        'A1 ,"Green, mild"  ,9.99 EUR   ,"Fine ""tea"" , really"  \n',
        'A1,  "Green, mild",9.99 EUR,"Fine ""tea"" , really" \r\n',
        'A1,"Green, mild" ,"9.99 EUR" ,"Fine ""tea"" , really"',
    ],
)
def test_blanks_around_a_quoted_cell_are_no_part_of_it(padded: str) -> None:
    (item,) = items(read(f"id  ,title   ,price,description \n{padded}"))
    assert (item.title, item.description) == ("Green, mild", 'Fine "tea" , really')


def test_blanks_behind_a_quote_inside_a_cell_of_several_lines_stay() -> None:
    rows = read('id,title,price,description\nA1,Tea,1 EUR,"so\n""called"" , tea"  \nA2,5" ,1 EUR,"x" \n')
    assert [item.description for item in items(rows)] == ['so\n"called" , tea', "x"]
    assert items(rows)[1].title == '5"'


@pytest.mark.parametrize(
    ("price", "amount_minor", "currency"),
    [
        ("USD 19.99", 1999, "USD"),
        ("usd19.99", 1999, "USD"),
        ("19,99 EUR", 1999, "EUR"),
        ("19,9 EUR", 1990, "EUR"),
        ("19,9900 EUR", 1999, "EUR"),
        ("1.299,00 EUR", 129_900, "EUR"),
        ("1,299.00 USD", 129_900, "USD"),
        ("12,34,567.89 INR", 123_456_789, "INR"),
        ("1\u00a0299,00 EUR", 129_900, "EUR"),
        ("1\u202f299,00\u202f€", 129_900, "EUR"),
        ("1'299.50 CHF", 129_950, "CHF"),
        ("1,234,567 USD", 123_456_700, "USD"),
        ("1,500 JPY", 1500, "JPY"),
        ("€19.99", 1999, "EUR"),
        ("£ 5", 500, "GBP"),
        ("49,90 zł", 4990, "PLN"),
        ("$19.99 USD", 1999, "USD"),
        ("US$5.00", 500, "USD"),
    ],
)
def test_a_price_is_read_as_it_is_plainly_meant(price: str, amount_minor: int, currency: str) -> None:
    (item,) = items(read(f'id;title;price\nA1;Tea;"{price}"\n', currency="SEK"))
    assert (item.list_price_minor, item.currency, item.currency_assumed) == (amount_minor, currency, False)


@pytest.mark.parametrize(
    ("price", "amount_minor", "currency"),
    [("19.99", 1999, "EUR"), ("19,99", 1999, "EUR"), ("$19.99", 1999, "CAD"), ("¥1,500", 1500, "JPY")],
)
@pytest.mark.parametrize("shape", ["id;title;price\nA1;Tea;{}\n", "Handle;Title;Variant Price\na;Tea;{}\n"])
def test_a_price_without_a_currency_takes_the_one_given_and_says_so(
    shape: str, price: str, amount_minor: int, currency: str
) -> None:
    (item,) = items(read(shape.format(price), currency=currency))
    assert (item.list_price_minor, item.currency, item.currency_assumed) == (amount_minor, currency, True)


def test_an_element_without_a_currency_takes_the_one_given() -> None:
    (item,) = items(read(rss("<g:id>1</g:id><title>Tea</title><g:price>5</g:price>"), currency="CHF"))
    assert (item.list_price_minor, item.currency, item.currency_assumed) == (500, "CHF", True)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("1,299 EUR", "whose comma may be before decimals or thousands"),
        ("1.299 EUR", "EUR has 2 decimals, not 3"),
        ("$19.99", "whose sign is that of several currencies; write its code"),
        ("$19.99 EUR", "whose sign is that of several currencies; write its code"),
        ("€19.99 USD", "must be like '19.99 USD'"),
        ("EUR 19.99 USD", "must be like '19.99 USD'"),
        ("12.34.5 EUR", "must be like '19.99 USD'"),
        ("1,23.45 EUR", "must be like '19.99 USD'"),
        ("19.99 - 29.99 EUR", "must be like '19.99 USD'"),
        ("-5 EUR", "must be like '19.99 USD'"),
        ("EUR", "must be like '19.99 USD'"),
    ],
)
def test_a_price_that_may_mean_two_things_is_refused_with_the_cause(price: str, reason: str) -> None:
    (bad,) = bad_rows(read(f"id;title;price\nA1;Tea;{price}\n", currency="EUR"))
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://shop.example/img/big panel (1).png", "https://shop.example/img/big%20panel%20(1).png"),
        ("//cdn.example/p.png", "https://cdn.example/p.png"),
        (
            "http://shop.example/Grün/茶.jpg?größe=a b",
            "http://shop.example/Gr%C3%BCn/%E8%8C%B6.jpg?gr%C3%B6%C3%9Fe=a%20b",
        ),
        ("https://bücher.example/1.jpg", "https://xn--bcher-kva.example/1.jpg"),
        ("HTTPS://Shop.Example/A.JPG", "https://shop.example/A.JPG"),
        ("https:\\\\shop.example\\a.jpg", "https://shop.example/a.jpg"),
        ("https://shop.example/100%.jpg|[x]^", "https://shop.example/100%25.jpg%7C%5Bx%5D%5E"),
        ("https://shop.example/a%20b.jpg", "https://shop.example/a%20b.jpg"),
        ("https://[::1]:8080/a.jpg#x#y", "https://[::1]:8080/a.jpg#x%23y"),
    ],
)
def test_a_pictures_address_is_encoded_as_browsers_do(written: str, kept: str) -> None:
    rows = read(f"id\ttitle\tprice\timage_link\nA1\tTea\t1 EUR\t{written}\n")
    assert (items(rows)[0].images, notes(rows)) == ((kept,), [])


@pytest.mark.parametrize(
    "written",
    ["p.png", "/p.png", "data:image/png;base64,x", "https://", "https://a b/p.png", "http://x:99999/"],
)
def test_a_picture_without_an_address_is_left_out_and_told(written: str) -> None:
    rows = read(f"id\ttitle\tprice\timage_link\nA1\tTea\t1 EUR\t{written}\n")
    assert [item.images for item in items(rows)] == [()]
    assert [repr(written) in note.text for note in notes(rows)] == [True]


DESCRIPTION = (
    "<p>Sporty top.<br>Fish &amp; chips</p><table><tr><td>a</td><td>b</td></tr></table><ul><li>c</ul>"
)
ESCAPED = DESCRIPTION.replace("&", "&amp;").replace("<", "&lt;")
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="https://base.google.com/ns/1.0/"><entry>{}</entry></feed>'


@pytest.mark.parametrize(
    "feed",
    [
        f'id,title,price,description\n1,M&auml;dchen &amp; <b>Jungen</b>,1 EUR,"{DESCRIPTION}"\n',
        f"id\ttitle\tprice\tdescription\n1\tM&auml;dchen &amp; Jungen\t1 EUR\t{DESCRIPTION}\n",
        f'Handle,Title,Variant Price,Body (HTML)\n1,M&auml;dchen &amp; Jungen,1,"{DESCRIPTION}"\n',
        rss(
            "<g:id>1</g:id><g:price>1 EUR</g:price><title><![CDATA[M&auml;dchen &amp; Jungen]]></title>"
            f"<description>{ESCAPED}</description>"
        ),
        ATOM.format(
            "<g:id>1</g:id><g:price>1 EUR</g:price><title>M&amp;auml;dchen &amp;amp; Jungen</title>"
            f'<content type="html">{ESCAPED}</content>'
        ),
    ],
)
def test_html_becomes_the_same_text_in_every_format(feed: str) -> None:
    (item,) = items(read(feed, currency="EUR"))
    assert item.title == "Mädchen & Jungen"
    assert item.description == "Sporty top.\nFish & chips\na b\nc"


@pytest.mark.parametrize(
    "namespace",
    [NAMESPACE, "https://base.google.com/ns/1.0", "HTTPS://base.google.com/ns/1.0", NAMESPACE + "/"],
)
def test_a_namespace_is_known_with_any_scheme(namespace: str) -> None:
    rows = read(rss("<g:id>A1</g:id><g:title>Tea</g:title><g:price>9.99 EUR</g:price>", namespace=namespace))
    assert [item.item_ref for item in items(rows)] == ["A1"]


def test_a_document_in_googles_namespace_alone_is_read() -> None:
    item = "<item><id>A1</id><title>Tea</title><price>5 EUR</price></item>"
    rows = read(f'<rss xmlns="{NAMESPACE}"><channel>{item}</channel></rss>')
    assert [item.item_ref for item in items(rows)] == ["A1"]


def test_a_namespace_that_is_not_read_is_named() -> None:
    (bad,) = read(rss("<g:id>A1</g:id><title>Tea</title>", namespace="urn:shop"))
    assert isinstance(bad, BadRow)
    assert bad.reason == "has no id in a namespace that is read; another one, 'urn:shop', is not"


TITLE = "Thé “vert”"


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("iso-8859-1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("UTF-8", "utf-8"),
        ("utf-16le", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
        ("gb18030", "gb18030"),
        ("GBK", "gb18030"),
        ("macintosh", "mac-roman"),
    ],
)
def test_a_feed_is_read_in_the_encoding_it_is_said_to_be_in(label: str, codec: str) -> None:
    table = f"id,title,price\nA1,{TITLE},5 EUR\n".encode(codec)
    document = rss(f"<g:id>A1</g:id><title>{TITLE}</title><g:price>5 EUR</g:price>").encode(codec)
    for content in (table, document):
        assert [item.title for item in items(read(content, encoding=encoding_of(label)))] == [TITLE]


@pytest.mark.parametrize(("label", "text"), [("iso-8859-1", TITLE), ("Shift_JIS", "緑茶"), ("gbk", "绿茶")])
def test_a_document_is_read_in_the_encoding_it_declares(label: str, text: str) -> None:
    head = f'<?xml version="1.0" encoding="{label}"?>'
    feed = rss(f"<g:id>A1</g:id><title>{text}</title><g:price>5 EUR</g:price>", head=head)
    assert [item.title for item in items(read(feed.encode(encoding_of(label))))] == [text]


def test_a_byte_order_mark_counts_before_what_is_said_and_that_before_the_declaration() -> None:
    table = codecs.BOM_UTF8 + f"id,title,price\nA1,{TITLE},5 EUR\n".encode()
    assert [item.title for item in items(read(table, encoding="cp1251"))] == [TITLE]
    head = '<?xml version="1.0" encoding="iso-8859-1"?>'
    feed = rss(f"<g:id>A1</g:id><title>{TITLE}</title><g:price>5 EUR</g:price>", head=head)
    assert [item.title for item in items(read(feed.encode(), encoding="utf-8"))] == [TITLE]


def test_bytes_that_are_none_of_the_encoding_are_told_by_its_name() -> None:
    rows = read(b"id,title,price\nA1,Tea,5 EUR\nA2,T\x81a,5 EUR\nA3,Tea,5 EUR\n", encoding="cp1252")
    assert bad_rows(rows) == [BadRow(3, "has characters that are not valid cp1252")]
    with pytest.raises(FeedError, match="the encoding is not big5, as it is declared"):
        read(b"id,title,price\nA1,\xff\xff,5 EUR\n", encoding="big5")


def test_a_title_of_several_lines_becomes_one() -> None:
    (item,) = (
        row for row in read('id,title,price\nA1,"Green\n tea\x07",1 EUR\n') if isinstance(row, FeedItem)
    )
    assert item.title == "Green tea"
