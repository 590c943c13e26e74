"""A link in a chat, opened in real browsers, from the first look to the receipt."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPhone
from tests.browser.shopping import SEEN_MS_MAX, Shop

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_two_who_open_a_link_fill_the_group_and_get_its_lowest_price(
    shop: Shop, open_phone: OpenPhone
) -> None:
    group = await shop.open_group(await shop.deal(), "leader")
    link = shop.url_of(group)
    ann, bea = await open_phone(), await open_phone(color_scheme="dark")

    await ann.page.goto(link)
    await ann.sees("#price", "$9.00")
    await ann.check("open")
    await ann.sign_in(shop, "ann@example.test")
    await ann.check("signed-in")
    await ann.join()
    await ann.sees("#order", "You are in.")
    await ann.check("joined")

    await bea.page.goto(link)
    await bea.check("filling-dark")
    await bea.sign_in(shop, "bea@example.test")
    await bea.check("signed-in-dark")
    loaded = await ann.page.evaluate("window.loaded = performance.timeOrigin")
    await bea.join()

    # The price falls before Ann's eyes, and the page is still the one she opened.
    await ann.sees("#main .price", "$7.00")
    for phone in (ann, bea):
        await phone.sees("#phase", "The group made it.")
        await phone.sees("#main .price", "$7.00")
        await phone.sees("#order", "Paid. Thank you!")
        await phone.sees("#order", "Charged $7.00")
    assert await ann.page.evaluate("window.loaded") == loaded
    await ann.check("succeeded")
    await bea.check("succeeded-dark")


async def test_whoever_only_watches_sees_price_and_people_change_and_hears_of_it(
    shop: Shop, open_phone: OpenPhone
) -> None:
    deal = await shop.deal(max_headcount=5)
    group = await shop.open_group(deal, "leader")
    watcher = await open_phone(viewport={"width": 320, "height": 640})
    await watcher.page.goto(shop.url_of(group))
    await watcher.sees("#people", "1 of 5")
    await watcher.check("open-320")
    await shop.join(group["id"], "ann")
    await watcher.sees("#needed", "That many are in already.")
    await shop.join(group["id"], "bea")
    await watcher.sees("#price", "$7.00")
    await watcher.sees("#people", "3 of 5 people are in.")
    await watcher.sees("#announcement", "The price has fallen to $7.00.")
    await watcher.sees("#join", "never pay more than $7.00")
    assert await watcher.page.locator("#refresh").is_hidden()
    await watcher.check("fallen-320")


async def test_nobody_loses_what_they_are_typing(shop: Shop, open_phone: OpenPhone) -> None:
    group = await shop.open_group(await shop.deal(max_headcount=5), "leader")
    phone = await open_phone()
    await phone.page.goto(shop.url_of(group))
    field = phone.page.get_by_label("E-mail address or phone number")
    await field.fill("ann@exa")
    for buyer in ("ann", "bea"):
        await shop.join(group["id"], buyer)
    await phone.sees("#price", "$7.00")
    await phone.sees("#join", "never pay more than $9.00")
    await expect(field).to_have_value("ann@exa")
    await field.fill("")
    await phone.sees("#join", "never pay more than $7.00")


async def test_without_event_streams_the_page_asks_now_and_then(shop: Shop, open_phone: OpenPhone) -> None:
    group = await shop.open_group(await shop.deal(max_headcount=5), "leader")
    watcher = await open_phone()
    await watcher.page.add_init_script("delete window.EventSource")
    await watcher.page.goto(shop.url_of(group))
    await shop.join(group["id"], "ann")
    await watcher.sees("#people", "2 of 5")


async def test_the_countdown_is_the_servers_whatever_the_phone_believes(
    shop: Shop, open_phone: OpenPhone
) -> None:
    group = await shop.open_group(await shop.deal(), "leader")
    phone = await open_phone()
    await phone.page.add_init_script("const now = Date.now; Date.now = () => now() + 86_400_000 * 365")
    await phone.page.goto(shop.url_of(group))
    shown = phone.page.locator("#countdown")
    first = await shown.inner_text()
    assert "min" in first
    await expect(shown).not_to_have_text(first, timeout=SEEN_MS_MAX)
    assert "59 min" in await shown.inner_text()


async def test_without_scripts_the_reader_refreshes_and_joins_all_the_same(
    shop: Shop, open_phone: OpenPhone
) -> None:
    group = await shop.open_group(await shop.deal(max_headcount=5), "leader")
    phone = await open_phone(java_script_enabled=False)
    await phone.page.goto(shop.url_of(group))
    await phone.sign_in(shop, "ann@example.test")
    await phone.join()
    for selector, text in (("#order", "You are in."), ("#people", "2 of 5")):
        while text not in await phone.page.locator(selector).inner_text():
            await phone.page.get_by_role("button", name="Refresh").click()


async def test_a_group_that_fails_in_front_of_its_reader(shop: Shop, open_phone: OpenPhone) -> None:
    group = await shop.open_group(await shop.deal(group_ttl_seconds=5), "leader")
    phone = await open_phone(viewport={"width": 1280, "height": 900})
    await phone.page.goto(shop.url_of(group))
    await phone.sees("#phase", "Nobody was charged.")
    await phone.check("failed-1280")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_everybody_can_read_the_page_at_any_width_and_in_any_light(
    shop: Shop, open_phone: OpenPhone, width: int, scheme: str
) -> None:
    deal = await shop.deal(min_headcount=3, max_headcount=4)
    short, fuller, full = [await shop.open_group(deal, leader) for leader in ("one", "two", "three")]
    await shop.join(fuller["id"], "ann")
    for buyer in ("bea", "cem", "dan"):
        await shop.join(full["id"], buyer)
    reader = await open_phone(viewport={"width": width, "height": 900}, color_scheme=scheme)
    await reader.page.goto(shop.url_of(short))
    await reader.sees("#others", "2 of 4 people are in.")
    await reader.check(f"short-{width}-{scheme}")
    await reader.page.goto(shop.url_of(full))
    await reader.sees("#others", "2 of 4 people are in.")
    await reader.check(f"full-{width}-{scheme}")
    await reader.page.goto(shop.url_of({"share_code": "nowhere"}))
    await reader.check(f"nowhere-{width}-{scheme}")


async def test_a_full_group_and_a_link_to_nowhere(shop: Shop, open_phone: OpenPhone) -> None:
    deal = await shop.deal()
    full, other = [await shop.open_group(deal, leader) for leader in ("one", "two")]
    phone = await open_phone(locale="fr-FR")
    for buyer in ("ann", "bea"):
        await shop.join(full["id"], buyer)
    await phone.page.goto(shop.url_of(full))
    await phone.sees("#others", "Autres groupes pour cette offre")
    await phone.check("full-fr")
    await phone.page.locator(".others a").first.click()
    assert other["share_code"] in phone.page.url
    await phone.page.goto(shop.url_of({"share_code": "nowhere"}))
    await phone.sees("h1", "Ce groupe n’existe pas")
    await phone.check("nowhere-fr")
