"""The people of a seed: a merchant who puts its deals on sale, and shoppers who do what the plan says.

A shopper is a good client: what is not decided is asked again with the same key, for a while during the
round, and until it is decided once the faults are over.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.chaos.caller import CALL_WAIT_S, Caller
from benchmarks.chaos.history import History
from benchmarks.chaos.plan import ADDED_STOCK, LIST_PRICE_MINOR
from pintuan.base.auth.tokens import TokenIssuer
from pintuan.base.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.chaos.history import Call
    from benchmarks.chaos.plan import Change, DealTerms, SeedPlan, Shopper, Step
    from benchmarks.chaos.wire import Address

TRIES_MAX: Final = 6
"""Of a wish during the round."""
TRY_AGAIN_S: Final = 0.4
SETTLED_TRIES_MAX: Final = 120
"""Of a wish after the faults; with the pause between two, more than half a minute."""
ASKED_AT_ONCE_MAX: Final = 64
MERCHANT: Final = "chaos-merchant"
CURRENCY: Final = "USD"


class NeverAnsweredError(Exception):
    """Something that must work after the faults, or before any, was not answered; the text says what."""


class Crowd:
    """The merchant and the shoppers of one seed."""

    def __init__(self, plan: SeedPlan, addresses: Sequence[Address], secret_key: str) -> None:
        self.plan = plan
        self.history = History(seed=plan.seed)
        self.deal_ids: list[str] = []
        self._caller = Caller(addresses, self.history)
        self._issuer = TokenIssuer(Keyring(secret_key))
        self._merchant = self._issuer.issue(MERCHANT, "merchant", now_s=time.time())
        self._groups: list[list[str]] = []
        self._tokens: dict[str, str] = {}
        self._bodies: dict[str, tuple[str, str, str, dict[str, Any]]] = {}

    def begin(self) -> None:
        """Counts the moments of the plan from now."""
        self._caller.begin()

    async def put_on_sale(self) -> None:
        """Offers the seed's deals. Raises NeverAnsweredError."""
        variant = {"sku": "TEA", "title": "Tea", "list_price": _money(LIST_PRICE_MINOR)}
        product = await self._merchants("/v1/products", {"title": "Tea", "variants": [variant]})
        variant_id = product["variants"][0]["id"]
        for number, terms in enumerate(self.plan.deals):
            title = f"Seed {self.plan.seed}, deal {number}"
            deal = await self._merchants(
                "/v1/deals", {"variant_id": variant_id, "title": title, **_deal(terms)}
            )
            self.deal_ids.append(deal["id"])
            self._groups.append([])

    async def shop(self) -> None:
        """Lets everybody come at the planned moment, and returns when all have gone."""
        async with asyncio.TaskGroup() as shopping:
            for change in self.plan.changes:
                shopping.create_task(self._change(change))
            for shopper in self.plan.shoppers:
                await asyncio.sleep(max(0.0, shopper.at_ms / 1000 - self._caller.now_s()))
                shopping.create_task(self._visit(shopper))

    async def shop_late(self) -> None:
        """The same for those who come while no worker is there; they only place their orders."""
        visits = []
        for shopper in self.plan.late:
            self.history.late_buyers.add(self._name(shopper))
            visits.append(self._place(shopper))
        await asyncio.gather(*visits)
        await self.decide()

    async def decide(self) -> None:
        """Asks again, with the same keys, whatever is not decided yet. Raises NeverAnsweredError."""
        await self._ask_all(list(self.history.undecided()))

    async def end_deals(self) -> None:
        """Ends the deals, so that nobody opens another group; those that are open run on."""
        self.history.deals_ended_s = self._caller.now_s()
        for deal_id in self.deal_ids:
            await self._merchants(f"/v1/deals/{deal_id}/end", None)

    async def ask_again(self) -> None:
        """Asks once more, by key and by id, for every order that was or may have been placed."""
        asked = {
            call.wish: call
            for call in self.history.placings()
            if not call.body_no and call.outcome in ("ok", "unknown")
        }
        await self._ask_all(list(asked))
        await self.read_orders()

    async def read_orders(self) -> None:
        """Reads every acknowledged order."""
        orders = {call.order.id: call.buyer for call in self.history.placings() if call.order is not None}
        await self._limited([self._read_order(order_id, buyer) for order_id, buyer in orders.items()])

    async def _change(self, change: Change) -> None:
        deal_id = self.deal_ids[change.deal_no]
        await asyncio.sleep(change.at_ms / 1000)
        self.history.changed_deals.add(deal_id)
        if change.kind == "stock":
            stock = self.plan.deals[change.deal_no].stock + ADDED_STOCK
            await self._merchants(f"/v1/deals/{deal_id}", {"stock": stock}, method="PATCH")
        else:
            await self._merchants(f"/v1/deals/{deal_id}/pause", None)
            await asyncio.sleep(change.lasting_ms / 1000)
            await self._merchants(f"/v1/deals/{deal_id}/resume", None)

    async def _visit(self, shopper: Shopper) -> None:
        placed = await self._place(shopper)
        for number, step in enumerate(shopper.steps):
            await self._take(step, number, shopper, placed)

    async def _place(self, shopper: Shopper, *, key: str = "first") -> Call:
        deal_id = self.deal_ids[shopper.deal_no]
        groups = self._groups[shopper.deal_no]
        buyer = self._name(shopper)
        path = {
            "best": f"/v1/deals/{deal_id}/join",
            "open": f"/v1/deals/{deal_id}/groups",
            "solo": f"/v1/deals/{deal_id}/buy",
        }
        if shopper.way == "link" and groups:
            path["link"] = f"/v1/groups/{groups[-1]}/join"
        chosen = path.get(shopper.way, path["best"])
        body = {"quantity": shopper.quantity, "payment_method": shopper.payment_method}
        wish = f"{buyer} {chosen} {key}"
        self._bodies[wish] = (buyer, chosen, key, body)
        return await self._insist(wish, shopper.number, TRIES_MAX, within_s=shopper.patience_ms / 1000)

    async def _insist(self, wish: str, at: int, tries: int, *, within_s: float = CALL_WAIT_S) -> Call:
        """Asks until there is a decision or `tries` are over; each time at another address."""
        call = await self._ask(wish, at, within_s=within_s)
        for attempt in range(1, tries):
            if call.outcome != "unknown":
                break
            await asyncio.sleep(TRY_AGAIN_S)
            call = await self._ask(wish, at + attempt, within_s=within_s)
        return call

    async def _ask(self, wish: str, at: int, *, other: bool = False, within_s: float = CALL_WAIT_S) -> Call:
        buyer, path, key, body = self._bodies[wish]
        if other:
            body = {**body, "ship_to": {"city": "Elsewhere"}}
        call = await self._caller.call(
            *("place", "POST", path),
            buyer=buyer,
            about=path,
            at=at,
            token=self._token(buyer),
            key=key,
            body=body,
            body_no=int(other),
            within_s=within_s,
        )
        if call.order is not None and call.order.group_id is not None:
            groups = self._groups[self.deal_ids.index(call.order.deal_id)]
            if not groups or groups[-1] != call.order.group_id:
                groups.append(call.order.group_id)
        return call

    async def _take(self, step: Step, number: int, shopper: Shopper, placed: Call) -> None:
        at, order, deal_id = shopper.number + number, placed.order, self.deal_ids[shopper.deal_no]
        groups = self._groups[shopper.deal_no]
        group_id = (
            order.group_id if order is not None and order.group_id else (groups[-1] if groups else None)
        )
        match step:
            case "repeat":
                await self._ask(placed.wish, at)
            case "twins":
                await asyncio.gather(self._ask(placed.wish, at), self._ask(placed.wish, at + 1))
            case "other_body" if order is not None:
                await self._ask(placed.wish, at, other=True)
            case "again":
                await self._place(shopper, key=f"again-{number}")
            case "order" if order is not None:
                await self._read_order(order.id, placed.buyer, at)
            case "group" if group_id is not None:
                await self._read("group", f"/v1/groups/{group_id}", group_id, at)
            case "listing":
                await self._read("listing", f"/v1/deals/{deal_id}/groups?status=open", deal_id, at)
            case "cancel" if order is not None:
                await self._cancel(order.id, placed.buyer, at)
            case "stream" if group_id is not None:
                await self._caller.follow(group_id, buyer=placed.buyer, at=at)
            case _:
                await self._read("deal", f"/v1/deals/{deal_id}", deal_id, at)

    async def _read(self, verb: Any, path: str, about: str, at: int) -> None:
        await self._caller.call(verb, "GET", path, buyer="", about=about, at=at)

    async def _read_order(self, order_id: str, buyer: str, at: int = 0) -> None:
        await self._caller.call(
            "order",
            "GET",
            f"/v1/orders/{order_id}",
            buyer=buyer,
            about=order_id,
            at=at,
            token=self._token(buyer),
        )

    async def _cancel(self, order_id: str, buyer: str, at: int) -> None:
        path = f"/v1/orders/{order_id}/cancel"
        for attempt in range(TRIES_MAX):
            call = await self._caller.call(
                *("cancel", "POST", path),
                buyer=buyer,
                about=order_id,
                at=at + attempt,
                token=self._token(buyer),
                key=f"cancel-{order_id}",
            )
            if call.outcome != "unknown":
                return
            await asyncio.sleep(TRY_AGAIN_S)

    async def _ask_all(self, wishes: Sequence[str]) -> None:
        calls = await self._limited(
            [self._insist(wish, n, SETTLED_TRIES_MAX) for n, wish in enumerate(wishes)]
        )
        for call in calls:
            if call.outcome == "unknown":
                raise NeverAnsweredError(
                    f"seed {self.plan.seed}: {call.wish} was never decided: {call.status} {call.detail}"
                )

    async def _limited(self, calls: Sequence[Any]) -> list[Any]:
        places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

        async def one(call: Any) -> Any:
            async with places:
                return await call

        return list(await asyncio.gather(*(one(call) for call in calls)))

    async def _merchants(
        self, path: str, body: dict[str, Any] | None, *, method: str = "POST"
    ) -> dict[str, Any]:
        """Makes a call of the merchant until it succeeds; one that took effect unseen does no harm."""
        said = ""
        for attempt in range(SETTLED_TRIES_MAX):
            answer = await self._caller.plain(method, path, token=self._merchant, body=body, at=attempt)
            if answer.status in (200, 201):
                found: dict[str, Any] = msgspec.json.decode(answer.body)
                return found
            said = f"{answer.status} {answer.body[:200]!r}"
            await asyncio.sleep(TRY_AGAIN_S)
        raise NeverAnsweredError(f"seed {self.plan.seed}: the merchant's {path} was never answered: {said}")

    def _name(self, shopper: Shopper) -> str:
        return f"s{self.plan.seed}-{shopper.number}"

    def _token(self, buyer: str) -> str:
        token = self._tokens.get(buyer)
        if token is None:
            token = self._tokens[buyer] = self._issuer.issue(buyer, "buyer", now_s=time.time())
        return token


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": CURRENCY}


def _deal(terms: DealTerms) -> dict[str, Any]:
    return {
        "ladder": [{"headcount": headcount, "unit_price": price} for headcount, price in terms.ladder],
        "min_headcount": terms.min_headcount,
        "max_headcount": terms.max_headcount,
        "group_ttl_seconds": terms.ttl_s,
        "stock": terms.stock,
        "per_buyer_units": terms.per_buyer_units,
        "lanes": terms.lanes,
    }
