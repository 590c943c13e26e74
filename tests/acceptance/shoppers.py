"""Shoppers who place orders over HTTP, and what they may expect to read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from pintuan.base.auth import Role

Bearer = Callable[[Role, str], dict[str, str]]
ORDER: dict[str, Any] = {"quantity": 1, "payment_method": "pm_ok"}

_keys = itertools.count()


@dataclass
class Shoppers:
    """Calls of buyers, each with a key of its own unless `key` repeats one."""

    api: httpx.AsyncClient
    bearer: Bearer

    def headers(self, buyer: str, key: str | None = None) -> dict[str, str]:
        return self.bearer("buyer", buyer) | {"Idempotency-Key": key or f"key-{next(_keys)}"}

    async def post(self, path: str, buyer: str, *, key: str | None = None, **changes: Any) -> httpx.Response:
        """Places an order; `changes` are fields of the body."""
        return await self.api.post(path, json=ORDER | changes, headers=self.headers(buyer, key))

    async def join(self, deal: str, buyer: str, **changes: Any) -> httpx.Response:
        return await self.post(f"/v1/deals/{deal}/join", buyer, **changes)

    async def open(self, deal: str, buyer: str, **changes: Any) -> httpx.Response:
        return await self.post(f"/v1/deals/{deal}/groups", buyer, **changes)

    async def join_group(self, group: str, buyer: str, **changes: Any) -> httpx.Response:
        return await self.post(f"/v1/groups/{group}/join", buyer, **changes)

    async def buy(self, deal: str, buyer: str, **changes: Any) -> httpx.Response:
        return await self.post(f"/v1/deals/{deal}/buy", buyer, **changes)

    async def cancel(self, order: str, buyer: str, *, key: str | None = None) -> httpx.Response:
        return await self.api.post(f"/v1/orders/{order}/cancel", headers=self.headers(buyer, key))


def placed(response: httpx.Response) -> dict[str, Any]:
    """The order of a call that placed one."""
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.json()
    assert (order["status"], order["payment"]) == ("held", {"status": "due"})
    return order


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a call that was refused so."""
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem.get("code")) == (status, code), response.text
    assert problem["status"] == status
    return problem
