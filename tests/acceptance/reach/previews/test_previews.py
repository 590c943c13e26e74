"""What messengers and phones fetch beside a shared link."""

from __future__ import annotations

import html
import re
from io import BytesIO

import httpx
import msgspec
import pytest
from PIL import Image

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio

FINGERPRINT = ":".join(["AB"] * 32)


async def test_a_card_shows_the_group_and_is_fetched_again_only_when_it_changed(
    market: Market, shoppers: Shoppers, pages: httpx.AsyncClient
) -> None:
    order = placed(await shoppers.open(await market.deal(), "ann"))
    path = f"/g/{order['group']['share_code']}/card.png"

    card = await pages.get(path)

    assert (card.status_code, card.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(card.content)).size == (1200, 630)
    same = await pages.get(path, headers={"If-None-Match": card.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    in_french = await pages.get(path, params={"lang": "fr"})
    assert in_french.headers["etag"] != card.headers["etag"]
    by_browser = await pages.get(path, headers={"Accept-Language": "fr-CA, en;q=0.5"})
    assert by_browser.headers["etag"] == in_french.headers["etag"]
    await market.authorise(order["id"])
    changed = await pages.get(path, headers={"If-None-Match": card.headers["etag"]})
    assert changed.status_code == 200


async def test_a_qr_code_draws_the_link(market: Market, shoppers: Shoppers, pages: httpx.AsyncClient) -> None:
    group = placed(await shoppers.open(await market.deal(), "ann"))["group"]

    code = await pages.get(f"/g/{group['share_code']}/qr.svg")

    assert (code.status_code, code.headers["content-type"]) == (200, "image/svg+xml")
    assert code.text.startswith("<svg ")
    for name in ("card.png", "qr.svg"):
        missing = await pages.get(f"/g/nothing/{name}")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_apps_open_links_where_they_are_set(
    settings: Settings, contract: Contract, pages: httpx.AsyncClient
) -> None:
    paths = ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json")
    assert [(await pages.get(path)).status_code for path in paths] == [404, 404]
    with_apps = msgspec.structs.replace(
        settings, apple_app_ids=("ABCDE12345.example.shop",), android_apps=(f"example.shop={FINGERPRINT}",)
    )
    async with (
        serving(with_apps, contract) as api,
        httpx.AsyncClient(base_url=api.base_url) as client,
    ):
        apple, google = [await client.get(path) for path in paths]
    assert apple.headers["content-type"] == "application/json"
    assert apple.json()["applinks"]["details"][0]["appIDs"] == ["ABCDE12345.example.shop"]
    (statement,) = google.json()
    assert statement["target"] == {
        "namespace": "android_app",
        "package_name": "example.shop",
        "sha256_cert_fingerprints": [FINGERPRINT],
    }


async def test_a_messenger_that_asks_the_pages_own_address_reads_it_in_the_language_shared(
    market: Market, shoppers: Shoppers, pages: httpx.AsyncClient
) -> None:
    order = placed(await shoppers.open(await market.deal(max_headcount=3), "ann"))
    path = f"/g/{order['group']['share_code']}"

    async def told(query: str) -> dict[str, str]:
        page = await pages.get(path + query, headers={"User-Agent": "facebookexternalhit/1.1"})
        return dict(re.findall(r'<meta property="(og:[^"]*)" content="([^"]*)">', page.text))

    shared = await told("?lang=ko&invite=abcdefghijklmnop")
    assert shared["og:url"].endswith(f"{path}?lang=ko")
    assert await told("?" + shared["og:url"].partition("?")[2]) == shared
    picture = html.unescape(shared["og:image"]).partition(path)[2]
    assert (await pages.get(path + picture)).headers["content-type"] == "image/png"
    await market.authorise(order["id"])
    assert (await told("?lang=ko"))["og:image"] != shared["og:image"]
    assert (await told(""))["og:url"].endswith(path)
