"""What holds for every page: headers, size, languages, and markup a browser and a reader can rely on."""

from __future__ import annotations

import itertools
import re
from urllib.parse import urljoin

import httpx
import pytest

from pintuan.base.locales import LANGUAGES
from tests.acceptance.reach.pages.browsing import Browser, is_inline_script
from tests.acceptance.reach.pages.conftest import Opened
from tests.market import Market

pytestmark = pytest.mark.anyio

SIZE_MAX_BYTES = 50 * 1024
MESSAGES_MIN = 20
HEADINGS = {
    "en": "How it works",
    "zh": "拼团规则",
    "ko": "이용 방법",
    "vi": "Cách hoạt động",
    "uk": "Як це працює",
    "fr": "Comment ça marche",
    "es": "Cómo funciona",
}


@pytest.fixture
async def path(market: Market, opened: Opened) -> str:
    group = await opened(await market.deal())
    return f"/g/{group['share_code']}"


async def test_nothing_but_this_server_may_do_anything_in_a_page(browser: Browser, path: str) -> None:
    for target, status in ((path, 200), ("/g/none", 404)):
        response = (await browser.open(target, status=status)).response
        policy = dict(
            part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in response.headers["cache-control"]
        assert not is_inline_script(response.text)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Browser, path: str) -> None:
    cookie = (await browser.open(path)).response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "set-cookie" not in (await browser.open(path)).response.headers


async def test_page_style_and_script_are_small_together(browser: Browser, path: str) -> None:
    for language in LANGUAGES:
        page = await browser.open(f"{path}?lang={language}")
        links = [element.attributes["href"] for element in page.all("link", rel="stylesheet")]
        links += [element.attributes["src"] for element in page.all("script") if "src" in element.attributes]
        assert len(links) == 2
        size = len(page.response.content)
        for link in links:
            assert link.startswith("/")
            asset = await browser.client.get(urljoin(path, link))
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
            size += len(asset.content)
        assert size < SIZE_MAX_BYTES, language


async def test_a_reader_gets_their_language(browser: Browser, path: str) -> None:
    for language in LANGUAGES:
        browser.headers["Accept-Language"] = f"{language}-XX, en;q=0.1"
        preferred = await browser.open(path)
        del browser.headers["Accept-Language"]
        asked_for = await browser.open(f"{path}?lang={language}")
        for page in (preferred, asked_for):
            (root,) = page.all("html")
            assert (root.attributes["lang"], root.attributes["dir"]) == (language, "ltr")
            assert page.response.headers["content-language"] == language
            assert HEADINGS[language] in page.text
        assert asked_for.form("/code").action.endswith(f"?lang={language}")
        assert preferred.form("/code").action == f"{path}/code"
        offered = {link.attributes["lang"] for link in preferred.all("a") if "lang" in link.attributes}
        assert offered == set(LANGUAGES)


async def test_nothing_on_a_page_is_left_in_english(browser: Browser, path: str) -> None:
    english = set(_texts((await browser.open(f"{path}?lang=en")).response))
    assert len(english) > MESSAGES_MIN
    for language in LANGUAGES[1:]:
        same = set(_texts((await browser.open(f"{path}?lang={language}")).response)) & english
        assert {text for text in same if text.count(" ") > 1} == set(), language


@pytest.mark.parametrize("target", ["", "?lang=zh"])
async def test_the_markup_is_sound(browser: Browser, path: str, target: str) -> None:
    page = await browser.open(path + target)
    assert page.response.text.startswith("<!doctype html>")
    identifiers = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    for element in page.elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for reference in element.attributes.get(name, "").split():
                assert reference in identifiers, (element, reference)
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("title")) == 1
    levels = [int(element.name[1]) for element in page.elements if element.name in {"h1", "h2", "h3"}]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    labels = {element.attributes.get("for") for element in page.all("label")}
    for field in page.all("input"):
        if field.attributes.get("type") not in {"hidden", "radio"}:
            assert field.attributes["id"] in labels
    assert page.all("p", aria_live="polite")


async def test_assets_are_those_and_no_other_file_is_served(browser: Browser) -> None:
    style = await browser.client.get("/pages/assets/group.css")
    assert style.headers["content-type"].startswith("text/css")
    for name in ("group.html", "../routes.py", "..%2froutes.py", "none.css"):
        assert (await browser.client.get(f"/pages/assets/{name}")).status_code == 404


async def test_head_answers_as_get_does(browser: Browser, path: str) -> None:
    head = await browser.client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def _texts(response: httpx.Response) -> list[str]:
    """What stands between the tags of a page's article."""
    article = response.text.partition("<article>")[2].partition("</article>")[0]
    return [text.strip() for text in re.findall(r">([^<]+)<", article) if text.strip()]
