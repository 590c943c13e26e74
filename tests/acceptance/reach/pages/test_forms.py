"""Forms of a page: whose they are, what they refuse, and that sending one twice does nothing twice."""

from __future__ import annotations

import httpx
import pytest

from pintuan.reach.pages.strict_transport import AGE_S
from tests.acceptance.reach.pages.browsing import Browser, Form, Page
from tests.acceptance.reach.pages.conftest import Opened
from tests.acceptance.shoppers import Shoppers, placed
from tests.acceptance.signing_in import header_of, read_code, sign_in, wrong
from tests.market import Market

pytestmark = pytest.mark.anyio

ATTEMPTS_MAX = 200


@pytest.fixture
async def path(market: Market, opened: Opened) -> str:
    group = await opened(await market.deal(min_headcount=2, max_headcount=10))
    return f"/g/{group['share_code']}"


async def test_a_form_without_its_token_is_refused(browser: Browser, path: str, market: Market) -> None:
    page = await browser.sign_in(await browser.open(path), "ann@example.test")
    form = page.form("/join")
    for token in ("", "0" * 32, "é", form.fields["form"][:-1]):
        refused = await browser.send(form, status=403, form=token)
        assert "This form has expired." in refused.text
        assert refused.all("a", href=path)
    assert len(await market.orders()) == 1


@pytest.mark.parametrize("form", ["code", "sign-in", "sign-out", "join", "open"])
async def test_every_form_needs_the_cookie_it_was_made_for(
    browser: Browser, another_browser: Browser, path: str, form: str
) -> None:
    token = (await browser.open(path)).form("/code").fields["form"]
    fields = {"form": token, "contact": "a@example.test", "code": "1", "key": "k", "payment_method": "pm_ok"}
    sent = Form(f"{path}/{form}", "post", fields)
    await another_browser.send(sent, status=403)
    await another_browser.open(path)
    await another_browser.send(sent, status=403)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_from_another_site_is_refused_whatever_it_holds(
    browser: Browser, path: str, site: str
) -> None:
    page = await browser.open(path)
    browser.headers["Sec-Fetch-Site"] = site
    await browser.send(page.form("/code"), status=403, contact="ann@example.test")
    browser.headers["Sec-Fetch-Site"] = "same-origin"
    await browser.send(page.form("/code"), contact="ann@example.test")


async def test_a_form_sent_twice_places_one_order(browser: Browser, path: str, market: Market) -> None:
    page = await browser.sign_in(await browser.open(path), "ann@example.test")
    form = page.form("/join")
    first, second = [await browser.send(form) for _ in range(2)]
    assert first.text_of("order") == second.text_of("order")
    assert len(await market.orders()) == 2
    again = await browser.send(form, status=409, key="another-key")
    assert "You are already in this group." in again.text_of("notice")


async def test_signing_in_refuses_what_is_wrong_and_says_so(browser: Browser, path: str) -> None:
    page = await browser.open(path)
    for typed in ("", "no address", "0123", "+1", "a@b", "x" * 2000 + "@example.test"):
        page = await browser.send(page.form("/code"), status=400, contact=typed)
        assert "Please enter an e-mail address" in page.text_of("notice")
        (field,) = page.all("input", id="contact")
        assert field.attributes["aria-invalid"] == "true"
        assert "notice" in field.attributes["aria-describedby"].split()
        assert field.attributes["value"] == typed[:320]
    page = await browser.send(page.form("/code"), contact="ann@example.test")
    code = await read_code(browser.client, "ann@example.test")
    page = await browser.send(page.form("/sign-in"), status=401, code=wrong(code))
    assert "The code is wrong or has expired." in page.text_of("notice")
    page = await browser.send(page.form("/sign-in"), code=f" {code[:3]} {code[3:]} ")
    assert page.has_form("/sign-out")


async def test_signing_in_changes_the_cookie_and_signing_out_ends_it(browser: Browser, path: str) -> None:
    page = await browser.open(path)
    before = page.form("/code").fields["form"]
    page = await browser.sign_in(page, "ann@example.test")
    signed_in = browser.client.cookies["pintuan"]
    # A form that somebody slipped in before is worth nothing after.
    assert page.form("/join").fields["form"] != before
    page = await browser.send(page.form("/sign-out"))
    assert not page.has_form("/sign-out")
    # A copy somebody kept is worth nothing any more.
    browser.client.cookies.set("pintuan", signed_in, domain=browser.client.base_url.host)
    browser.client.cookies.delete("pintuan")
    browser.headers["Cookie"] = f"pintuan={signed_in}"
    assert not (await browser.open(path)).has_form("/join")


async def test_whoever_is_forgotten_is_signed_out(browser: Browser, path: str) -> None:
    page = await browser.sign_in(await browser.open(path), "ann@example.test")
    assert page.has_form("/sign-out")
    tokens = await sign_in(browser.client, email="ann@example.test")
    assert (await browser.client.delete("/v1/me", headers=header_of(tokens))).status_code == 204
    assert not (await browser.open(path)).has_form("/sign-out")


async def test_a_cookie_that_is_not_ours_is_nobody(browser: Browser, path: str) -> None:
    for cookie in ("pintuan=x", "pintuan=" + "x" * 5000, "pintuan=gAAAAAB", 'pintuan="; other=1', "=;;"):
        browser.headers["Cookie"] = cookie
        assert not (await browser.open(path)).has_form("/sign-out")


REFUSED_ORDERS: list[tuple[dict[str, str], int]] = [
    ({"quantity": "0"}, 400),
    ({"quantity": "-1"}, 400),
    ({"quantity": "1e3"}, 400),
    ({"quantity": "9" * 500}, 400),
    ({"quantity": "11"}, 409),
    ({"payment_method": "pm_none"}, 400),
    ({"payment_method": ""}, 400),
    ({"payment_method": "pm_ok\0"}, 400),
    ({"key": ""}, 400),
    ({"key": "k" * 300}, 400),
    ({"shown": ""}, 400),
    ({"shown": "1"}, 409),
    ({"shown": "9" * 400}, 400),
]


async def test_an_order_that_cannot_be_is_refused_with_the_page(
    browser: Browser, path: str, market: Market
) -> None:
    page = await browser.sign_in(await browser.open(path), "ann@example.test")
    for changes, status in REFUSED_ORDERS:
        refused = await browser.send(page.form("/join"), status=status, **changes)
        assert refused.all("main"), changes
    assert len(await market.orders()) == 1


async def test_nobody_joins_for_more_than_the_page_showed(
    browser: Browser, market: Market, shoppers: Shoppers, opened: Opened
) -> None:
    deal = await market.deal(min_headcount=2, max_headcount=5, ladder=((2, 900), (3, 700)))
    group = await opened(deal)
    member = placed(await shoppers.join_group(group["id"], "bea"))
    await market.authorise(group["order_id"], member["id"])
    page = await browser.sign_in(await browser.open(f"/g/{group['share_code']}"), "ann@example.test")
    assert "never pay more than $7.00" in page.text_of("join")
    assert (await shoppers.cancel(member["id"], "bea")).status_code == 200
    page = await browser.send(page.form("/join"), status=409)
    assert "The price has changed meanwhile." in page.text_of("notice")
    assert "never pay more than $9.00" in page.text_of("join")
    assert "Your place is reserved" in (await browser.send(page.form("/join"))).text_of("order")


async def test_whoever_is_too_fast_is_told_so_and_tries_again_with_the_same_key(
    browser: Browser, path: str
) -> None:
    form = (await browser.sign_in(await browser.open(path), "ann@example.test")).form("/join")
    for number in range(ATTEMPTS_MAX):
        # More than a buyer may have, so that no attempt takes a seat.
        fields = form.fields | {"quantity": "11", "key": f"key-{number}"}
        response = await browser.client.post(form.action, data=fields)
        if response.status_code == 429:
            break
        assert response.status_code == 409
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    page = Page(response)
    assert "Please wait a little" in page.text_of("notice")
    assert page.form("/join").fields["key"] == f"key-{number}"


async def test_a_body_that_is_no_form_is_refused(browser: Browser, path: str) -> None:
    await browser.open(path)
    for content, kind, status in (
        (b"{}", "application/json", 415),
        (b"a=1&" * 20, "application/x-www-form-urlencoded", 400),
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"\xff\xfe=%00", "application/x-www-form-urlencoded", 400),
    ):
        response = await browser.client.post(
            f"{path}/join", content=content, headers={"Content-Type": kind, "Accept-Language": "ko"}
        )
        assert response.status_code == status
        assert 'lang="ko"' in response.text


async def test_whoever_is_not_signed_in_is_sent_to_sign_in(
    browser: Browser, path: str, market: Market
) -> None:
    token = (await browser.open(path)).form("/code").fields["form"]
    page = await browser.send(Form(f"{path}/join", "post", {"form": token, "key": "k", "shown": "900"}))
    assert page.has_form("/code")
    assert len(await market.orders()) == 1


async def test_the_invitation_of_a_link_reaches_the_order(
    browser: Browser, path: str, market: Market
) -> None:
    page = await browser.sign_in(await browser.open(f"{path}?invite=k7mq3xw9bd&lang=fr"), "ann@example.test")
    await browser.send(page.form("/join"))
    assert [order["invite_code"] for order in await market.orders()] == [None, "k7mq3xw9bd"]
    page = await browser.open(f"{path}?invite=%3Cscript%3E")
    assert "invite" not in page.form("/sign-out").action


async def test_in_production_the_cookie_needs_tls_and_this_host(
    production_api: httpx.AsyncClient, path: str
) -> None:
    cookie = (await production_api.get(path)).headers["set-cookie"]
    assert cookie.startswith("__Host-pintuan=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


async def test_browsers_are_told_to_come_back_over_tls_where_links_are_https(
    browser: Browser, production_api: httpx.AsyncClient, path: str
) -> None:
    html = {"accept": "text/html"}
    for target in (path, "/g/none"):
        page = await production_api.get(target, headers=html)
        assert page.headers["strict-transport-security"] == f"max-age={AGE_S}"
        assert "strict-transport-security" not in (await browser.client.get(target, headers=html)).headers
    assert "strict-transport-security" not in (await production_api.get("/v1/deals")).headers


async def test_a_page_takes_what_is_typed_as_the_api_does(browser: Browser, path: str) -> None:
    typed = "\u202d Ann\uff20example.test\u00a0\u202c"
    asked = await browser.send((await browser.open(path)).form("/code"), contact=typed)
    code = await read_code(browser.client, "ann@example.test")
    wide = "".join(chr(0xFF10 + int(digit)) for digit in code)
    page = await browser.send(asked.form("/sign-in"), code=f"\u200b{wide[:3]}\u2013{wide[3:]}.")
    page = await browser.send(page.form("/join"), quantity="\u200e\u0661 ")
    assert "Your place is reserved" in page.text_of("order")
