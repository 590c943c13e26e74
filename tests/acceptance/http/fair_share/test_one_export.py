"""An account has one export under way, whichever of its tokens asks; others' are not kept waiting by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from pintuan.buying.orders import personal
from pintuan.money.ledger import service as ledger
from tests.acceptance.shoppers import Bearer, refused

pytestmark = pytest.mark.anyio

EXPORT = "/v1/me/export"
SHEETS = (
    "/v1/merchant/orders.csv",
    "/v1/merchant/statement.csv?created_from=2030-01-01T00:00:00Z&created_to=2030-02-01T00:00:00Z",
)


class Held:
    """Stands in for what an export reads, which takes until it is let."""

    def __init__(self, nothing: Any) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self._nothing = nothing

    async def __call__(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.begun.set()
        await self.end.wait()
        yield self._nothing


async def test_a_buyer_has_one_export_at_a_time(
    api: httpx.AsyncClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held([])
    monkeypatch.setattr(personal, "exported_orders", held)
    first = asyncio.create_task(api.get(EXPORT, headers=bearer("buyer", "ann")))
    await held.begun.wait()
    problem = await api.get(EXPORT, headers=bearer("buyer", "ann"))
    refused(problem, 429, "rate_limited")
    assert int(problem.headers["retry-after"]) >= 1
    # The same name of another role is somebody else.
    for sheet in SHEETS:
        assert (await api.get(sheet, headers=bearer("merchant", "ann"))).status_code == 200
    held.end.set()
    assert (await first).status_code == 200
    assert (await api.get(EXPORT, headers=bearer("buyer", "ann"))).status_code == 200


async def test_a_merchant_has_one_of_any_kind_at_a_time(
    api: httpx.AsyncClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held("")
    monkeypatch.setattr(ledger, "statement", held)
    first = asyncio.create_task(api.get(SHEETS[1], headers=bearer("merchant", "acme")))
    await held.begun.wait()
    for sheet in SHEETS:
        refused(await api.get(sheet, headers=bearer("merchant", "acme")), 429, "rate_limited")
    assert (await api.get(SHEETS[0], headers=bearer("merchant", "zenith"))).status_code == 200
    held.end.set()
    assert (await first).status_code == 200
    assert (await api.get(SHEETS[0], headers=bearer("merchant", "acme"))).status_code == 200
