"""What the page says in every state of a group and its deal."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from groups.engine import GroupEngine
from tests.acceptance.reach.pages.browsing import Browser, Page
from tests.acceptance.reach.pages.conftest import Opened
from tests.acceptance.shoppers import Shoppers, placed
from tests.market import Market

pytestmark = pytest.mark.anyio


async def test_an_open_group_tells_price_ladder_rules_and_time(
    browser: Browser, market: Market, opened: Opened
) -> None:
    group = await opened(await market.deal(min_headcount=3, max_headcount=10, ttl_s=7_260))
    await market.authorise(group["order_id"])
    page = await browser.open(f"/g/{group['share_code']}")
    assert page.all("h1")
    assert page.text_of("price") == "$9.00"
    assert "List price $10.00" in page.text
    assert (
        page.text_of("people") == "1 of 10 people are in."
        or page.text_of("people") == "1 of 10 people is in."
    )
    # The ladder begins at 2, and a group of 2 buys nothing here.
    assert page.text_of("steps") == (
        "from 3 people $9.00 2 more are missing from 5 people $8.00 4 more are missing "
        "from 10 people $7.00 9 more are missing"
    )
    assert "If fewer than 3 people are in" in page.text
    assert page.text_of("needed") == "2 more are needed."
    assert page.text_of("countdown").startswith("2 hr")
    (deadline,) = [time for time in page.all("time") if "datetime" in time.attributes]
    assert deadline.attributes["datetime"]
    (progress,) = page.all("progress")
    assert (progress.attributes["max"], progress.attributes["value"]) == ("10", "1")
    assert page.all("form", id="refresh")
    assert not page.all("section", id="others")


async def test_nobody_is_shown_who_is_not_there(browser: Browser, market: Market, opened: Opened) -> None:
    group = await opened(await market.deal(), leader="somebody-with-a-name")
    page = await browser.open(f"/g/{group['share_code']}")
    assert "somebody-with-a-name" not in page.response.text
    assert page.text_of("people") == "0 of 10 people are in."
    assert page.text_of("held") == "1 more is paying right now."


async def test_a_group_that_is_about_to_fill_says_so(
    browser: Browser, market: Market, opened: Opened
) -> None:
    for capacity, text in ((3, "Almost full: 2 places left."), (2, "Almost full: 1 place left.")):
        group = await opened(await market.deal(min_headcount=2, max_headcount=capacity), f"leader-{capacity}")
        assert (await browser.open(f"/g/{group['share_code']}")).text_of("phase") == text


async def test_a_group_that_is_short_shows_a_stranger_fuller_ones_and_what_they_lack(
    browser: Browser, market: Market, shoppers: Shoppers, opened: Opened
) -> None:
    deal = await market.deal(min_headcount=3, max_headcount=10)
    short, fuller, equal = [await opened(deal, f"leader-{number}") for number in range(3)]
    orders = [placed(await shoppers.join_group(fuller["id"], "second"))["id"]]
    await market.authorise(short["order_id"], fuller["order_id"], equal["order_id"], *orders)

    page = await browser.open(f"/g/{short['share_code']}")

    assert page.has_form("/code")
    assert page.text_of("others") == (
        "Other groups for this offer 2 of 10 people are in. $9.00 "
        "$9.00: 1 more is missing $8.00: 3 more are missing $7.00: 8 more are missing"
    )
    page = await browser.sign_in(page, "ann@example.test")
    page = await browser.send(page.form("/join"))
    assert not page.all("section", id="others")
    # One that does not need anybody any more sends nobody away.
    enough = placed(await shoppers.join_group(fuller["id"], "third"))["id"]
    await market.authorise(enough)
    assert not (await browser.open(f"/g/{fuller['share_code']}")).all("section", id="others")


async def test_a_full_group_offers_the_fullest_others_and_a_new_one(
    browser: Browser, market: Market, shoppers: Shoppers, opened: Opened
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=3)
    full, emptier, fuller = [await opened(deal, f"leader-{number}") for number in range(3)]
    for number in range(2):
        placed(await shoppers.join_group(full["id"], f"full-{number}"))
    placed(await shoppers.join_group(fuller["id"], "fuller"))
    page = await browser.open(f"/g/{full['share_code']}?lang=en")
    assert page.text_of("phase") == "This group is full."
    assert not page.has_form("/join")
    links = [link.attributes["href"] for link in page.all("a") if link.attributes["href"].startswith("/g/")]
    assert links == [f"/g/{other['share_code']}?lang=en" for other in (fuller, emptier)]
    assert "Sign in to start a new group" in page.text_of("others")

    page = await browser.sign_in(page, "ann@example.test")
    page = await browser.send(page.form("/open"))
    assert "Your place is reserved" in page.text_of("order")
    assert page.response.url.path not in {f"/g/{group['share_code']}" for group in (full, emptier, fuller)}


async def test_a_group_past_its_deadline_takes_nobody(
    browser: Browser, market: Market, opened: Opened, engine: GroupEngine
) -> None:
    group = await opened(await market.deal(min_headcount=2))
    path = f"/g/{group['share_code']}"
    await market.pass_deadline(group["id"])
    # No worker has looked yet.
    page = await browser.open(path)
    assert page.text_of("phase") == "The group has closed. The last payments are being confirmed."
    await engine.advance_due_groups(10)
    page = await browser.open(path)
    assert page.text_of("phase") == "The group has closed. The last payments are being confirmed."
    assert not page.all("span", id="countdown")
    assert not page.has_form("/join")


async def test_a_failed_group_says_that_nobody_was_charged(
    browser: Browser, market: Market, opened: Opened, engine: GroupEngine
) -> None:
    group = await opened(await market.deal(min_headcount=2))
    await market.authorise(group["order_id"])
    await market.pass_deadline(group["id"])
    await engine.advance_due_groups(10)
    await market.end_operations("void")
    await market.pass_settling()
    await engine.advance_due_groups(10)
    page = await browser.open(f"/g/{group['share_code']}")
    assert page.text_of("phase") == "Too few people joined in time. Nobody was charged."
    assert "Sign in to start a new group" in page.text_of("others")
    assert not page.all("form", id="refresh")


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        ("UPDATE deals SET status = 'paused' WHERE id = $1", "The seller has paused this offer."),
        ("UPDATE lanes SET stock_units = sold_units WHERE deal_id = $1", "Sold out"),
    ],
)
async def test_a_deal_that_takes_nobody_shows_why(
    browser: Browser, market: Market, opened: Opened, pool: asyncpg.Pool, change: str, phase: str
) -> None:
    deal = await market.deal()
    group = await opened(deal)
    await pool.execute(change, deal)
    if "lanes" in change:
        await pool.execute(
            "UPDATE deals SET stock_units = (SELECT sum(sold_units) FROM lanes WHERE deal_id = $1)"
            " WHERE id = $1",
            deal,
        )
    page = await browser.open(f"/g/{group['share_code']}")
    assert page.text_of("phase").startswith(phase)
    assert not page.has_form("/join")


async def test_a_group_of_a_deal_that_ended_runs_on(browser: Browser, market: Market, opened: Opened) -> None:
    deal = await market.deal()
    group = await opened(deal)
    await market.change_deal(deal, status="ended")
    page = await browser.open(f"/g/{group['share_code']}")
    assert "This offer has ended" in page.text
    assert "you never pay more than" in page.text


@pytest.mark.parametrize("code", ["nosuchcode", "%00", "a%20b", "<script>", "é" * 50])
async def test_an_unknown_link_is_a_page_too(browser: Browser, code: str) -> None:
    page = await browser.open(f"/g/{code}?lang=fr", status=404)
    assert "Ce groupe n’existe pas" in page.text
    assert page.response.headers["content-type"].startswith("text/html")
    assert "script>" not in page.response.text


async def test_the_picture_is_the_merchants_and_comes_over_tls_alone(
    browser: Browser, market: Market, opened: Opened, pool: asyncpg.Pool
) -> None:
    group = await opened(await market.deal())
    path = f"/g/{group['share_code']}"

    async def page_with(picture: str) -> tuple[Page, str]:
        await pool.execute("UPDATE products SET images = jsonb_build_array($1::text)", picture)
        page = await browser.open(path)
        return page, page.response.headers["content-security-policy"]

    page, policy = await page_with("https://img.example:8443/tea%20pot.jpg?w=640")
    (image,) = page.all("img")
    assert image.attributes["src"] == "https://img.example:8443/tea%20pot.jpg?w=640"
    assert image.attributes["alt"] == "Tea"
    assert "img-src 'self' https://img.example:8443;" in policy
    for refused in ("http://img.example/tea.jpg", "https://a;script-src *.example/x", "javascript:alert(1)"):
        page, policy = await page_with(refused)
        assert not page.all("img")
        assert "img-src 'self';" in policy


async def test_where_cards_are_needed_the_page_sends_to_the_app(
    stripe_api: httpx.AsyncClient, market: Market, opened: Opened
) -> None:
    group = await opened(await market.deal())
    page = Page(await stripe_api.get(f"/g/{group['share_code']}"))
    assert "Please join in the app." in page.text_of("join")
    assert not page.has_form("/join")
    assert not page.has_form("/open")
