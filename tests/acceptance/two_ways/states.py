"""Every state that a placing call may find its deal, its group, its buyer or its key in.

Each is made twice, once for each way, so that both find the same. A state makes a deal, a group of it and
whatever has happened before, and says who calls with which key and body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import httpx
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.keys import Lane, LaneKeys
from pintuan.buying.orders.service import hash_request
from tests.acceptance.shoppers import ORDER, Bearer, Shoppers, placed
from tests.market import Market, buyer_of_lane

BUYER: Final = "ann"
KEY: Final = "the-key"
NO_GROUP: Final = "grp_" + "0" * 32
NO_DEAL: Final = "deal_" + "0" * 32
HOUR_MS: Final = 3_600_000


class Route(NamedTuple):
    """One of the calls that place: its path in the contract, and the problem codes the contract gives it."""

    template: str
    codes: frozenset[str]

    @property
    def is_in_group(self) -> bool:
        """Whether the call names a group."""
        return "{group_id}" in self.template


@dataclass
class Sale:
    """What one call finds, and who makes it with what."""

    deal: str
    group: str = NO_GROUP
    buyer: str = BUYER
    key: str = KEY
    body: dict[str, Any] | None = None
    lanes: int = 1

    def path(self, route: Route) -> str:
        """Where the call goes."""
        return route.template.format(deal_id=self.deal, group_id=self.group)


@dataclass
class Shop:
    """What states are made with. `elsewhere` is the engine of another process."""

    market: Market
    shoppers: Shoppers
    bearer: Bearer
    elsewhere: GroupEngine
    redis: Redis

    async def running(self, **terms: Any) -> Sale:
        """A deal with a group that `first` has opened through this process."""
        sale = Sale(await self.market.deal(**terms), lanes=terms.get("lanes", 1))
        sale.group = placed(await self.shoppers.open(sale.deal, "first"))["group_id"]
        await self.drive(sale)
        return sale

    async def drive(self, sale: Sale) -> None:
        """Makes this process know the group and every lane, by calls that are refused."""
        again = await self.shoppers.join_group(sale.group, "first")
        assert again.json()["code"] == "already_joined"
        for lane_no in range(sale.lanes):
            much = await self.shoppers.buy(sale.deal, buyer_of_lane(lane_no, sale.lanes), quantity=1_000)
            assert much.json()["code"] == "limit_reached"

    async def merchant(self, method: str, path: str, body: object = None) -> None:
        """A call of the merchant's."""
        answer = await self.shoppers.api.request(
            method, path, json=body, headers=self.bearer("merchant", "acme")
        )
        assert answer.is_success, answer.text

    async def call(self, sale: Sale, route: Route, **changes: Any) -> dict[str, Any]:
        """Makes the call itself, so that what follows repeats it; answers the order."""
        return placed(await self.shoppers.post(sale.path(route), sale.buyer, key=sale.key, **changes))


State = Callable[[Shop, Route], Awaitable[Sale]]
STATES: Final[dict[str, State]] = {}


def state(make: State) -> State:
    """Lists a state under the name of its function."""
    STATES[make.__name__.replace("_", " ")] = make
    return make


@state
async def a_group_runs(shop: Shop, _route: Route) -> Sale:
    return await shop.running()


async def room_for_everybody(shop: Shop, _route: Route) -> Sale:
    """What those find who come by the hundred."""
    return await shop.running(max_headcount=1_000, stock=100_000)


@state
async def the_first_buyer(shop: Shop, _route: Route) -> Sale:
    sale = Sale(await shop.market.deal())
    placed(await shop.shoppers.buy(sale.deal, "first"))
    return sale


@state
async def a_deal_this_process_never_saw(shop: Shop, _route: Route) -> Sale:
    sale = Sale(await shop.market.deal())
    wish = shop.market.wish("first", deal=sale.deal, verb="open")
    sale.group = await shop.market.group_of((await shop.elsewhere.place(wish)).order_id)
    return sale


@state
async def a_deal_and_a_group_that_are_not_there(_shop: Shop, _route: Route) -> Sale:
    return Sale(NO_DEAL)


@state
async def a_group_of_a_known_deal_that_is_not_there(shop: Shop, _route: Route) -> Sale:
    return Sale((await shop.running()).deal)


@state
async def an_order_with_everything_in_it(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    address = {"name": "Zoë 😀", "lines": ["1 Rue"], "at": {"lat": 45.7}}
    sale.body = {
        "quantity": 3,
        "payment_method": "pm_ok:card-7",
        "invite_code": "k7mq3xw9bd",
        "ship_to": address,
    }
    return sale


@state
async def paused(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.merchant("POST", f"/v1/deals/{sale.deal}/pause")
    return sale


@state
async def resumed(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.merchant("POST", f"/v1/deals/{sale.deal}/pause")
    await shop.merchant("POST", f"/v1/deals/{sale.deal}/resume")
    return sale


@state
async def ended(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.merchant("POST", f"/v1/deals/{sale.deal}/end")
    return sale


@state
async def not_begun(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await _redate(shop, sale, "starts_at = app_now() + interval '1 hour'")
    return sale


@state
async def over(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await _redate(
        shop, sale, "starts_at = app_now() - interval '1 day', ends_at = app_now() - interval '1 second'"
    )
    return sale


@state
async def price_title_and_stock_changed(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    (row,) = await shop.market.pool.fetch("SELECT product_id, variant_id FROM deals WHERE id = $1", sale.deal)
    price = {"id": row["variant_id"], "list_price": {"amount": 5_000, "currency": "USD"}}
    await shop.merchant("PATCH", f"/v1/products/{row['product_id']}", {"variants": [price]})
    await shop.merchant("PATCH", f"/v1/deals/{sale.deal}", {"title": "Other tea", "stock": 200})
    return sale


@state
async def the_last_unit(shop: Shop, _route: Route) -> Sale:
    return await shop.running(stock=2)


@state
async def sold_out(shop: Shop, _route: Route) -> Sale:
    return await shop.running(stock=1)


@state
async def fewer_units_than_wanted(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(stock=3)
    sale.body = ORDER | {"quantity": 3}
    return sale


@state
async def stock_that_was_given_back(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(stock=2)
    left = placed(await shop.shoppers.join(sale.deal, "other"))
    assert (await shop.shoppers.cancel(left["id"], "other")).is_success
    return sale


@state
async def the_last_units_a_buyer_may_have(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(per_buyer=2)
    placed(await shop.shoppers.buy(sale.deal, BUYER))
    return sale


@state
async def the_limit_reached(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(per_buyer=1)
    placed(await shop.shoppers.buy(sale.deal, BUYER))
    return sale


@state
async def above_the_limit(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(per_buyer=2)
    sale.body = ORDER | {"quantity": 3}
    return sale


@state
async def the_last_seat(shop: Shop, _route: Route) -> Sale:
    return await shop.running(min_headcount=2, max_headcount=2)


@state
async def a_full_group(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(min_headcount=2, max_headcount=2)
    placed(await shop.shoppers.join_group(sale.group, "second"))
    return sale


@state
async def a_group_past_its_deadline(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.market.pass_deadline(sale.group)
    return sale


@state
async def a_group_that_failed(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.market.pass_deadline(sale.group)
    await shop.elsewhere.advance_due_groups(10)
    return sale


@state
async def a_group_that_succeeded(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(min_headcount=2, max_headcount=3)
    second = placed(await shop.shoppers.join_group(sale.group, "second"))
    (first,) = await shop.market.orders(buyer_id="first", group_id=sale.group)
    await shop.market.authorise(first["id"], second["id"])
    await shop.market.pass_deadline(sale.group)
    await shop.elsewhere.advance_due_groups(10)
    return sale


@state
async def already_in_a_group(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    placed(await shop.shoppers.join_group(sale.group, BUYER))
    return sale


@state
async def left_the_group_before(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    order = placed(await shop.shoppers.join_group(sale.group, BUYER))
    assert (await shop.shoppers.cancel(order["id"], BUYER)).is_success
    return sale


@state
async def declined_before(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    order = placed(await shop.shoppers.join_group(sale.group, BUYER))
    await shop.market.end("declined", order["id"])
    return sale


@state
async def a_key_used_before(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    await shop.call(sale, route)
    return sale


@state
async def a_key_used_for_an_order_that_was_cancelled(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    order = await shop.call(sale, route)
    assert (await shop.shoppers.cancel(order["id"], BUYER)).is_success
    return sale


@state
async def a_key_used_for_an_order_that_was_authorised(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    await shop.market.authorise((await shop.call(sale, route))["id"])
    return sale


@state
async def a_key_used_before_on_a_deal_that_was_paused(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    await shop.call(sale, route)
    await shop.merchant("POST", f"/v1/deals/{sale.deal}/pause")
    return sale


@state
async def a_key_used_with_another_body(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    await shop.call(sale, route, quantity=2)
    return sale


@state
async def a_key_used_by_another_buyer(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    placed(await shop.shoppers.post(sale.path(route), "other", key=KEY))
    return sale


@state
async def a_key_used_on_another_call(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    other = "join" if route.template.endswith("buy") else "buy"
    placed(await shop.shoppers.post(f"/v1/deals/{sale.deal}/{other}", BUYER, key=KEY))
    return sale


@state
async def a_key_refused_before(shop: Shop, route: Route) -> Sale:
    sale = await shop.running(per_buyer=2)
    refused = await shop.shoppers.post(sale.path(route), BUYER, key=KEY, quantity=3)
    assert refused.status_code == httpx.codes.CONFLICT
    return sale


@state
async def a_key_that_is_being_decided(shop: Shop, route: Route) -> Sale:
    sale = await shop.running()
    request_id = hash_request(BUYER, "POST", sale.path(route), KEY).hex()
    await shop.redis.set(_keys(sale).request(request_id), "0|ord_nowhere")
    return sale


@state
async def a_buyer_in_a_hurry(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    seconds, _ = await shop.redis.time()
    await cast("Awaitable[int]", shop.redis.hset(_keys(sale).rates, BUYER, str(seconds * 1000 + HOUR_MS)))
    return sale


@state
async def a_lane_that_redis_forgot(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running()
    await shop.redis.delete(*_keys(sale).state)
    return sale


@state
async def several_lanes(shop: Shop, _route: Route) -> Sale:
    return await shop.running(lanes=4)


@state
async def several_lanes_and_nothing_left_in_the_own(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(lanes=2, stock=4)
    other = buyer_of_lane(1, 2)
    sale.buyer = buyer_of_lane(1, 2, besides=other)
    placed(await shop.shoppers.buy(sale.deal, other, quantity=2))
    return sale


@state
async def several_lanes_and_nothing_left_in_any(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(lanes=2, stock=2)
    placed(await shop.shoppers.buy(sale.deal, "other"))
    return sale


@state
async def several_lanes_and_already_in(shop: Shop, _route: Route) -> Sale:
    sale = await shop.running(lanes=4)
    placed(await shop.shoppers.join_group(sale.group, BUYER))
    return sale


async def _redate(shop: Shop, sale: Sale, times: str) -> None:
    """Moves the time a deal runs to, as time would."""
    await shop.market.pool.execute(f"UPDATE deals SET {times} WHERE id = $1", sale.deal)  # noqa: S608
    await shop.market.change_deal(sale.deal)


def _keys(sale: Sale) -> LaneKeys:
    return LaneKeys.of(Lane(sale.deal, 0))
