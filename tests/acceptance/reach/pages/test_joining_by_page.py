"""From a link in a chat to a seat in the group, in a browser without JavaScript."""

from __future__ import annotations

import pytest

from groups.engine import GroupEngine
from tests.acceptance.reach.pages.browsing import Browser
from tests.acceptance.reach.pages.conftest import Opened
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_a_link_leads_to_a_seat_and_to_its_charge_without_javascript(
    browser: Browser, another_browser: Browser, market: Market, opened: Opened, engine: GroupEngine
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=3, ladder=((2, 900), (3, 700)))
    group = await opened(deal)
    await market.authorise(group["order_id"])
    path = f"/g/{group['share_code']}"

    page = await browser.open(path)
    assert page.text_of("price") == "$9.00"
    assert "you never pay more than $9.00" in page.text
    page = await browser.sign_in(page, "ann@example.test")
    page = await browser.send(page.form("/join"))
    assert "Your place is reserved" in page.text_of("order")
    assert not page.has_form("/join")
    (ann,) = [row for row in await market.orders(group_id=group["id"]) if row["seat"] == 2]
    await market.authorise(ann["id"])
    assert "You are in." in (await browser.open(path)).text_of("order")

    other = await another_browser.sign_in(await another_browser.open(path), "bea@example.test")
    assert "you never pay more than $7.00" in other.text
    await another_browser.send(other.form("/join"))
    (bea,) = [row for row in await market.orders(group_id=group["id"]) if row["seat"] == 3]
    await market.authorise(bea["id"])
    assert (await browser.open(path)).text_of("price") == "$7.00"

    await engine.advance_due_groups(10)
    assert "The price is fixed." in (await browser.open(path)).text_of("phase")
    await market.end_operations("capture")
    await market.pass_settling()
    await engine.advance_due_groups(10)
    page = await browser.open(path)
    assert "The group made it." in page.text_of("phase")
    assert "Final price $7.00" in page.text
    assert "Charged $7.00" in page.text_of("order")
    assert "Promised: never more than $9.00" in page.text_of("order")
