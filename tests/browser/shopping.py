"""What people do in a browser, and what a marketplace does for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.acceptance.signing_in import read_code
from tests.marketplace import Site, open_deal

# The success criteria of WCAG 2.2 at levels A and AA, as axe names them.
AXE_OPTIONS = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
# The longest a worker, a stream and a page's own jitter take together on a busy machine.
SEEN_MS_MAX = 20_000
LADDER = [{"headcount": 2, "unit_price": 900}, {"headcount": 3, "unit_price": 700}]

_keys = iter(range(1_000_000))


@dataclass
class Shop:
    """A marketplace with one merchant."""

    site: Site
    client: httpx.AsyncClient
    merchant: str

    async def deal(self, **terms: Any) -> str:
        defaults = {
            "ladder": LADDER,
            "min_headcount": 2,
            "max_headcount": 3,
            "group_ttl_seconds": 3600,
            "stock": 100,
            "per_buyer_units": 2,
        }
        return await open_deal(self.client, self.merchant, **defaults | terms)

    async def open_group(self, deal: str, leader: str) -> dict[str, Any]:
        """Somebody opens a group in an app."""
        return await self._place(f"/v1/deals/{deal}/groups", leader)

    async def join(self, group_id: str, buyer: str) -> dict[str, Any]:
        """Somebody joins a group in an app."""
        return await self._place(f"/v1/groups/{group_id}/join", buyer)

    async def _place(self, path: str, buyer: str) -> dict[str, Any]:
        (token,) = await self.site.tokens("buyer", buyer)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{next(_keys)}"}
        placed = await self.client.post(path, json={"payment_method": "pm_ok"}, headers=headers)
        assert placed.status_code == httpx.codes.CREATED, placed.text
        group: dict[str, Any] = placed.json()["group"]
        return group

    def url_of(self, group: dict[str, Any]) -> str:
        return f"{self.client.base_url}/g/{group['share_code']}"


@dataclass
class Phone:
    """One person's browser with one page open; `errors` is what went wrong in it."""

    page: Page
    screenshots: Path
    errors: list[str] = field(default_factory=list)

    def note(self, kind: str, text: str) -> None:
        """Keeps what the browser complains about; a page that is not there is no fault of the page."""
        if kind == "error" and "404" not in text:
            self.errors.append(text)

    async def sign_in(self, shop: Shop, address: str) -> None:
        await self.page.get_by_label("E-mail address or phone number").fill(address)
        await self.page.get_by_role("button", name="Send me a code").click()
        code = await read_code(shop.client, address)
        await self.page.get_by_label("The six digits of the code").fill(code)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    async def join(self) -> None:
        await self.page.get_by_role("button", name="Join for at most").click()
        await expect(self.page.get_by_role("heading", name="Your order")).to_be_visible()

    async def sees(self, selector: str, text: str) -> None:
        await expect(self.page.locator(selector)).to_contain_text(text, timeout=SEEN_MS_MAX)

    async def check(self, name: str) -> None:
        """Keeps a picture, and fails where the page breaks a rule of WCAG or is wider than its window."""
        await self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)
        found = await Axe().run(self.page, options=AXE_OPTIONS)
        assert found.violations_count == 0, found.generate_report()
        width = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, f"{name} is {width} px too wide"
        assert self.errors == []
