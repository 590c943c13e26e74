"""Real browsers on a real marketplace.

Fixtures:

    shop            a running marketplace with a merchant, whose deals a test opens
    open_phone      opens one more person's browser; each has its own cookies

They need Chromium, which `.ci/run` installs where it can; elsewhere they are skipped and say so.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.browser.shopping import Phone, Shop
from tests.documents import PROJECT
from tests.marketplace import Site

SCREENSHOTS = PROJECT / "build" / "screenshots"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE_SIZE = {"width": 390, "height": 844}

OpenPhone = Callable[..., Awaitable[Phone]]


def chromium() -> str | None:
    """Where Chromium is, if it is."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = chromium()
    if path is None:
        pytest.skip("Chromium is not installed; Debian has it as the package chromium")
    return path


@pytest.fixture
async def running_browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Containers run as root, where Chromium's own sandbox cannot; it sees our pages alone.
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def shop(site: Site, chromium_path: str) -> AsyncIterator[Shop]:  # noqa: ARG001 - skips before it starts.
    running = await site.up("--api-workers", "1", "--workers", "1")
    (merchant,) = await site.tokens("merchant", "acme")
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
        yield Shop(site, client, merchant)
    assert await running.terminate() == 0


@pytest.fixture
async def open_phone(running_browser: Browser) -> AsyncIterator[OpenPhone]:
    async with AsyncExitStack() as stack:

        async def open_phone(**options: Any) -> Phone:
            context: BrowserContext = await running_browser.new_context(
                **{"viewport": PHONE_SIZE, "locale": "en-US"} | options
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            phone = Phone(page, _folder())
            page.on("pageerror", lambda error: phone.errors.append(str(error)))
            page.on("console", lambda message: phone.note(message.type, message.text))
            return phone

        yield open_phone


def _folder() -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
