"""Shoppers who keep coming while things break, and who remember every answer they got."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.marketplace import Site, open_deal

SHOPPERS_PER_S = 100
CALLS_MAX = 40
"""Of one wish, until it is granted or refused."""
RETRY_S = 0.5
SETTLED_S_MAX = 60.0
POLL_S = 0.2
CAPACITY = 6
STOCK = 100
GROUP_TTL_S = 5
DEAL: dict[str, Any] = {
    "ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 4, "unit_price": 800}],
    "min_headcount": 3,
    "max_headcount": CAPACITY,
    "group_ttl_seconds": GROUP_TTL_S,
    "stock": STOCK,
    "per_buyer_units": 2,
}
METHODS = ("pm_ok", "pm_ok", "pm_ok", "pm_declined", "pm_ok", "pm_timeout", "pm_ok", "pm_capture_timeout")
PLANS = ("best", "open", "link", "repeat", "best", "solo", "link", "cancel", "best")
"""Not as long as `METHODS`, so that every plan meets every method."""
LIVE = {"held", "authorised", "captured"}
PAID_OR_NOT = {"captured", "voided", "declined", "failed"}
SUCCESSES = {httpx.codes.OK, httpx.codes.CREATED}


@dataclass(frozen=True, slots=True)
class Wish:
    """One call that places an order, and what it always is repeated with."""

    token: str
    path: str
    key: str
    payment_method: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Idempotency-Key": self.key}


@dataclass
class Crowd:
    """Many buyers of a few deals. `faults` is what no client may ever see.

    With `connections_may_break` a broken connection is none: the process at its other end was killed.
    """

    tokens: list[str]
    deals: list[str]
    connections_may_break: bool = False
    acknowledged: dict[Wish, dict[str, Any]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    _gone: bool = False

    async def shop(self, client: httpx.AsyncClient) -> None:
        """Sends one shopper after the other, without waiting for answers, until all are served."""
        async with asyncio.TaskGroup() as shoppers:
            for number, token in enumerate(self.tokens):
                if self._gone:
                    break
                shoppers.create_task(self._shopper(client, number, token))
                await asyncio.sleep(1 / SHOPPERS_PER_S)

    async def reached(self, count: int) -> None:
        """Waits until so many orders were acknowledged."""
        async with self._grown:
            await self._grown.wait_for(lambda: len(self.acknowledged) >= count)

    def go_home(self) -> None:
        """Nobody else comes, and nobody calls again: the marketplace is being closed."""
        self._gone = True

    async def _shopper(self, client: httpx.AsyncClient, number: int, token: str) -> None:
        plan = PLANS[number % len(PLANS)]
        deal = self.deals[number % len(self.deals)]
        paths: dict[str, str | None] = {"open": f"/v1/deals/{deal}/groups", "solo": f"/v1/deals/{deal}/buy"}
        if plan == "link":
            paths["link"] = self._link()
        path = paths.get(plan) or f"/v1/deals/{deal}/join"
        wish = Wish(token, path, f"key-{number}", METHODS[number % len(METHODS)])
        calls = [self._insist(client, wish) for _ in range(3 if plan == "repeat" else 1)]
        await asyncio.gather(*calls)
        if plan == "cancel" and wish in self.acknowledged:
            await self._cancel(client, wish)

    def _link(self) -> str | None:
        groups = [order["group_id"] for order in self.acknowledged.values() if order["group_id"]]
        return f"/v1/groups/{groups[-1]}/join" if groups else None

    async def _insist(self, client: httpx.AsyncClient, wish: Wish) -> None:
        response = await self._decided(client, wish.path, wish.headers, body_of(wish))
        if response is not None and response.status_code in SUCCESSES:
            await self._remember(wish, response.json())

    async def _cancel(self, client: httpx.AsyncClient, wish: Wish) -> None:
        order_id = self.acknowledged[wish]["id"]
        response = await self._decided(client, f"/v1/orders/{order_id}/cancel", wish.headers, None)
        if response is not None and response.status_code == httpx.codes.OK:
            self.cancelled.add(order_id)

    async def _decided(
        self, client: httpx.AsyncClient, path: str, headers: Mapping[str, str], body: Any
    ) -> httpx.Response | None:
        """Calls again with the same key, as a good client does, until there is a decision."""
        for _ in range(CALLS_MAX):
            response = await self._answer(client, path, headers, body)
            if response is not None and is_decided(response):
                return response
            if self._gone:
                return None
            await asyncio.sleep(RETRY_S)
        self.faults.append(f"{path} was never decided")
        return None

    async def _answer(
        self, client: httpx.AsyncClient, path: str, headers: Mapping[str, str], body: Any
    ) -> httpx.Response | None:
        try:
            response = await client.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            broken = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            if not (broken and self.connections_may_break):
                self.faults.append(f"{path}: {error!r}")
            return None
        status = response.status_code
        self.answers[f"{status} {response.json().get('code', '')}"] += 1
        if status not in (*SUCCESSES, 409, 429, 503):
            self.faults.append(f"{path}: {status} {response.text}")
        if status in (429, 503) and not response.headers.get("retry-after", "").isdigit():
            self.faults.append(f"{path}: {status} without Retry-After")
        return response

    async def _remember(self, wish: Wish, order: dict[str, Any]) -> None:
        known = self.acknowledged.setdefault(wish, order)
        if place_of(known) != place_of(order):
            self.faults.append(f"{wish.path}: one key placed {place_of(known)} and {place_of(order)}")
        async with self._grown:
            self._grown.notify_all()

    async def assert_nothing_lost(self, client: httpx.AsyncClient) -> None:
        """Every acknowledged order is there, in its seat, and its key still leads to it."""
        assert self.acknowledged
        assert self.faults == []
        for wishes in batches(self.acknowledged):
            await asyncio.gather(*(self._assert_kept(client, wish) for wish in wishes))
            await asyncio.gather(*(self._assert_replayed(client, wish) for wish in wishes))

    async def _assert_kept(self, client: httpx.AsyncClient, wish: Wish) -> None:
        place = place_of(self.acknowledged[wish])
        found = await client.get(f"/v1/orders/{place[0]}", headers=wish.headers)
        assert found.status_code == httpx.codes.OK, found.text
        assert place_of(found.json()) == place

    async def _assert_replayed(self, client: httpx.AsyncClient, wish: Wish) -> None:
        place = place_of(self.acknowledged[wish])
        replay = await client.post(wish.path, json=body_of(wish), headers=wish.headers)
        assert replay.status_code == httpx.codes.OK, replay.text
        assert place_of(replay.json()) == place

    async def assert_all_settles(self, client: httpx.AsyncClient) -> None:
        """Every order ends, paid or not; groups end no earlier than they may; nothing is sold twice."""
        async with asyncio.timeout(SETTLED_S_MAX):
            orders = [await self._ended(client, wish) for wish in self.acknowledged]
        assert {order["id"] for order in orders if order["status"] == "cancelled"} >= self.cancelled
        for order in orders:
            if order["group"] is not None:
                assert_closed_in_time(order["group"])
            if order["charged_unit_price"] is not None:
                assert order["charged_unit_price"]["amount"] <= order["promised_price"]["amount"]
        live = [order for order in orders if order["status"] in LIVE]
        sold = Counter(order["deal_id"] for order in live)
        assert max(sold.values(), default=0) <= STOCK
        seats = Counter((order["group_id"], order["seat"]) for order in live if order["group_id"])
        assert max(seats.values(), default=1) == 1

    async def groups(self, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        """The groups of the acknowledged orders, as they are now."""
        group_ids = {order["group_id"] for order in self.acknowledged.values() if order["group_id"]}
        return [(await client.get(f"/v1/groups/{group_id}")).json() for group_id in sorted(group_ids)]

    async def _ended(self, client: httpx.AsyncClient, wish: Wish) -> dict[str, Any]:
        while True:
            answer = await client.get(f"/v1/orders/{self.acknowledged[wish]['id']}", headers=wish.headers)
            order: dict[str, Any] = answer.json()
            group_ended = order["group"] is None or order["group"]["status"] in ("succeeded", "failed")
            if group_ended and order["payment"]["status"] in PAID_OR_NOT:
                return order
            await asyncio.sleep(POLL_S)


async def open_crowd(
    site: Site, client: httpx.AsyncClient, *, size: int, connections_may_break: bool = False, **terms: Any
) -> Crowd:
    """Makes two deals, one of them in two lanes, and buyers enough to sell both out."""
    merchant = (await site.tokens("merchant", "acme"))[0]
    deals = [await open_deal(client, merchant, **{**DEAL, "lanes": lanes, **terms}) for lanes in (1, 2)]
    buyers = await site.tokens("buyer", f"buyer-{next(_crowds)}", size)
    return Crowd(buyers, deals, connections_may_break=connections_may_break)


def is_decided(response: httpx.Response) -> bool:
    """Whether calling again would be pointless."""
    if response.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
        return False
    return bool(response.json().get("code") != "idempotency_in_flight")


def body_of(wish: Wish) -> dict[str, Any]:
    return {"quantity": 1, "payment_method": wish.payment_method}


def place_of(order: dict[str, Any]) -> tuple[str, str, str | None, int | None]:
    """What must never change about an order."""
    return order["id"], order["deal_id"], order["group_id"], order["seat"]


def assert_closed_in_time(group: dict[str, Any]) -> None:
    """By the server's own times: a group that did not fill waits for its deadline."""
    assert group["status"] in ("succeeded", "failed")
    if group["headcount"] < group["max_headcount"]:
        assert group["settled_at"] >= group["deadline"]


def batches(wishes: Mapping[Wish, Any]) -> list[list[Wish]]:
    """The wishes in handfuls, so that looking at them all is no load of its own."""
    waiting = iter(wishes)
    return list(iter(lambda: list(itertools.islice(waiting, 20)), []))


_crowds = itertools.count()
