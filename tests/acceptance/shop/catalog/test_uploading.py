"""A merchant without a shell brings a feed in over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import pytest

from pintuan.shop.feeds import uploads
from pintuan.shop.feeds.formats import BadRow, FeedItem, Halt
from tests.acceptance.shoppers import Bearer
from tests.waiting import until

pytestmark = pytest.mark.anyio

PATH = "/v1/merchant/imports"
FEED = (
    "id,title,price,item_group_id,color\n"
    "K-1,Kettle,19.99 USD,K,Red\n"
    "K-2,Kettle,21.00 USD,K,Blue\n"
    "B-1,Broken,nothing,,\n"
    "C-1,Cup,5.00 USD,,\n"
)
SHOPIFY = "Handle,Title,Option1 Name,Option1 Value,Variant Price\nshirt,Shirt,Size,S,10\nshirt,,,M,12\n"
RSS = (
    '<rss xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
    "<item><g:id>P-1</g:id><title>Pan</title><g:price>7 EUR</g:price></item>\n"
)

Upload = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def upload(api: httpx.AsyncClient, bearer: Bearer) -> Upload:
    """Posts a feed of the merchant `teahouse`."""

    async def upload(
        content: str | bytes | AsyncIterator[bytes], content_type: str = "text/csv", **params: str
    ) -> httpx.Response:
        headers = bearer("merchant", "teahouse") | {"Content-Type": content_type}
        return await api.post(PATH, content=content, headers=headers, params=params)

    return upload


async def test_a_feed_is_imported_and_told_row_by_row(api: httpx.AsyncClient, upload: Upload) -> None:
    first = await upload(FEED)
    assert (first.status_code, first.json()) == (
        200,
        {
            "rows": 4,
            "products_added": 2,
            "products_changed": 0,
            "products_hidden": 0,
            "variants_added": 3,
            "variants_changed": 0,
            "variants_unchanged": 0,
            "refused": [{"line": 4, "reason": "has price 'nothing', which must be like '19.99 USD'"}],
            "refused_count": 1,
            "notices": [],
            "notices_count": 0,
            "currency_assumed": None,
            "stopped": None,
        },
    )
    listed = (await api.get("/v1/products", params={"merchant_id": "teahouse"})).json()["items"]
    assert sorted(product["title"] for product in listed) == ["Cup", "Kettle"]
    again = (await upload(FEED.replace("5.00", "6.00"))).json()
    assert (again["products_added"], again["variants_added"], again["variants_changed"]) == (0, 0, 1)


async def test_the_content_shows_the_format_and_the_currency_is_told(upload: Upload) -> None:
    shopify = (await upload(SHOPIFY, "text/csv; charset=utf-8")).json()
    assert (shopify["variants_added"], shopify["currency_assumed"]) == (2, "USD")
    yen = (await upload(SHOPIFY, currency="JPY")).json()
    assert (yen["variants_changed"], yen["currency_assumed"]) == (2, "JPY")
    rss = (await upload(RSS + "</channel></rss>", "application/rss+xml")).json()
    assert (rss["variants_added"], rss["currency_assumed"]) == (1, None)


async def test_a_feed_is_read_in_the_charset_of_its_type(api: httpx.AsyncClient, upload: Upload) -> None:
    feed = "id,title,price\nT-1,Thé vert,9.99\n".encode("latin-1")
    assert (await upload(feed)).status_code == 400
    declared = (await upload(feed, 'text/csv; charset="ISO-8859-1"', currency="EUR")).json()
    assert (declared["variants_added"], declared["currency_assumed"]) == (1, "EUR")
    listed = (await api.get("/v1/products", params={"merchant_id": "teahouse"})).json()["items"]
    assert [product["title"] for product in listed] == ["Thé vert"]
    for charset in ("utf-7", "base64", "x-nobody", "__import__"):
        refused = await upload(feed, f"text/csv; charset={charset}")
        assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")
        assert charset in refused.json()["detail"]


async def test_what_is_optional_and_unusable_is_left_out_and_told(upload: Upload) -> None:
    result = (await upload("id,title,price,image_link\nC-1,Cup,5 USD,cup.jpg\n")).json()
    assert (result["variants_added"], result["refused_count"], result["notices_count"]) == (1, 0, 1)
    (notice,) = result["notices"]
    assert (notice["line"], "cup.jpg" in notice["text"]) == (2, True)


async def test_a_broken_document_keeps_what_came_before(upload: Upload) -> None:
    result = (await upload(f"{RSS}<item>", "application/xml")).json()
    assert result["variants_added"] == 1
    assert "breaks at line 3, in item 2" in result["stopped"]


@pytest.mark.parametrize("content", ["", "sku,name\n1,2\n", b"\xff\xfe\xff", "<html></html>"])
async def test_what_is_no_feed_is_invalid(upload: Upload, content: str | bytes) -> None:
    refused = await upload(content)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in refused.json()["errors"]] == ["body"]


async def test_a_currency_that_is_none_is_invalid(upload: Upload) -> None:
    for currency in ("QQQ", "usd"):
        refused = await upload(SHOPIFY, currency=currency)
        assert [error["field"] for error in refused.json()["errors"]] == ["currency"]


async def test_another_media_type_is_refused_with_those_taken(upload: Upload) -> None:
    refused = await upload(FEED, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")
    assert "text/csv" in refused.json()["detail"]


async def test_a_feed_too_large_is_refused_while_it_arrives(upload: Upload) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"id,title,price\n"
        for _ in range(uploads.UPLOAD_BYTES_MAX // (1 << 20) + 1):
            yield b"x" * (1 << 20)

    announced = await upload(b"x" * (uploads.UPLOAD_BYTES_MAX + 1))
    assert (announced.status_code, announced.json()["code"]) == (413, "too_large")
    streamed = await upload(endless())
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")
    assert (await upload(FEED)).status_code == 200


async def test_who_hangs_up_ends_the_import(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(_stream: object, *, halt: Halt, **_: object) -> Iterator[FeedItem | BadRow]:
        begun.set()
        try:
            while True:
                halt.check(1)
                time.sleep(0.001)
                yield from ()
        finally:
            ended.set()

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "read_feed", endless)
        calling = asyncio.ensure_future(upload(FEED))
        await asyncio.to_thread(begun.wait)
        # A merchant has one import at a time, and others have theirs.
        busy = await upload(FEED)
        assert (busy.status_code, busy.json()["code"]) == (429, "rate_limited")
        assert int(busy.headers["Retry-After"]) > 0
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert await asyncio.to_thread(ended.wait, 30)

    async def is_free() -> bool:
        return (await upload(FEED)).status_code == 200

    await until(is_free)


async def test_only_merchants_import(api: httpx.AsyncClient, bearer: Bearer) -> None:
    csv = {"Content-Type": "text/csv"}
    assert (await api.post(PATH, content=FEED, headers=csv)).status_code == 401
    buyer = await api.post(PATH, content=FEED, headers=csv | bearer("buyer", "ann"))
    assert (buyer.status_code, buyer.json()["code"]) == (403, "forbidden")
