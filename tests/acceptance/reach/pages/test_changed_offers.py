"""What the page shows of a group whose deal offers something else by now."""

from __future__ import annotations

import pytest

from tests.acceptance.reach.pages.browsing import Browser
from tests.acceptance.reach.pages.conftest import Opened
from tests.market import Market

pytestmark = pytest.mark.anyio

CHANGED_SINCE_ORDERED = "The seller has changed this offer since you ordered."
CHANGED_SINCE_BEGUN = "The seller has changed this offer since the group began."


async def rename(market: Market, title: str) -> None:
    """Lets every deal offer something else than before."""
    async with market.pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE deals SET title = $1", title)
        await connection.execute("UPDATE products SET title = $1", title)
        await connection.execute("UPDATE variants SET title = $1", f"{title} variant")


async def test_a_member_is_shown_what_they_ordered_and_a_stranger_what_they_would_get(
    browser: Browser, another_browser: Browser, market: Market, opened: Opened
) -> None:
    group = await opened(await market.deal())
    path = f"/g/{group['share_code']}"
    page = await browser.sign_in(await browser.open(path), "ann@example.test")
    page = await browser.send(page.form("/join"))
    assert not page.text_of("changed")

    await rename(market, "Coffee")

    mine = await browser.open(path)
    assert (mine.text_of("goods"), mine.text_of("variant")) == ("Tea", "")
    assert mine.text_of("changed").startswith(CHANGED_SINCE_ORDERED)
    assert mine.text_of("changed").endswith("A new order is for “Coffee”.")
    theirs = await another_browser.open(path)
    assert (theirs.text_of("goods"), theirs.text_of("variant")) == ("Coffee", "Coffee variant")
    assert theirs.text_of("changed").startswith(CHANGED_SINCE_BEGUN)
    later = await another_browser.open(f"/g/{(await opened(group['deal_id'], 'eve'))['share_code']}")
    assert not later.text_of("changed")


async def test_nobody_joins_for_something_else_than_the_page_showed(
    browser: Browser, market: Market, opened: Opened
) -> None:
    group = await opened(await market.deal())
    page = await browser.sign_in(await browser.open(f"/g/{group['share_code']}"), "ann@example.test")
    await rename(market, "Coffee")

    page = await browser.send(page.form("/join"), status=409)

    assert "The offer has changed meanwhile." in page.text_of("notice")
    assert page.text_of("goods") == "Coffee"
    assert len(await market.orders()) == 1
    page = await browser.send(page.form("/join"))
    assert "Your place is reserved" in page.text_of("order")


async def test_nobody_opens_a_group_for_something_else_than_the_page_showed(
    browser: Browser, market: Market, opened: Opened
) -> None:
    group = await opened(await market.deal(min_headcount=1, max_headcount=1, ladder=((1, 900),)))
    page = await browser.sign_in(await browser.open(f"/g/{group['share_code']}"), "ann@example.test")
    await rename(market, "Coffee")

    page = await browser.send(page.form("/open"), status=409)

    assert "The offer has changed meanwhile." in page.text_of("notice")
    assert len(await market.orders()) == 1
    await browser.send(page.form("/open"))
    assert len(await market.orders()) == 2
