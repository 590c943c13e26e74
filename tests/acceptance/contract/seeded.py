"""A marketplace with something of everything in it, and who calls it with what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import schemathesis
from schemathesis import GenerationMode

from pintuan.base.wire.page import Page
from pintuan.buying.groups.schemas import Order
from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import Pintuan, open_client
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.reach.invites.schemas import NewInvites, Recipient
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint
from pintuan.shop.catalog.schemas import ListPrice, NewProduct, NewVariant
from pintuan.shop.deals.schemas import Deal, NewDeal, NewTier
from tests.marketplace import Site

PLACEHOLDER: Final = "real"
BUYER, MERCHANT, ADMIN, NOBODY, ERASED = "buyer", "merchant", "admin", "nobody", "erased"
CALLERS: Final = {
    BUYER: ("buyer", "ann"),
    ERASED: ("buyer", "gone"),
    MERCHANT: ("merchant", "teahouse"),
    ADMIN: ("admin", "root"),
}
# Every so often somebody else calls than who may: the number of a call, modulo ten, and who makes it.
TURNS: Final = {3: "other", 6: ADMIN, 9: NOBODY}
# Calls that spend what they are made on have their own, so that others still find theirs running.
SPENDING: Final = {
    ("change_deal", "deal_id"): "spent_deal_id",
    ("pause_deal", "deal_id"): "spent_deal_id",
    ("resume_deal", "deal_id"): "spent_deal_id",
    ("end_deal", "deal_id"): "spent_deal_id",
    ("cancel_order", "order_id"): "spent_order_id",
    ("delete_webhook_endpoint", "endpoint_id"): "spent_endpoint_id",
}
OF_EACH: Final = 3
INVITED: Final = "bea@example.com"
# Nobody listens there.
HOOK: Final = "https://127.0.0.1:1024/"
WISH: Final = NewOrder(payment_method="pm_ok")


@dataclass
class Seeds:
    """The marketplace, by what its calls need; `answers` counts the statuses of each operation."""

    url: str
    tokens: dict[str, str]
    ids: dict[str, list[str]]
    cursors: dict[str, list[str]]
    answers: dict[str, Counter[int]] = field(default_factory=dict)

    def caller_of(self, case: schemathesis.Case[Any]) -> str:
        """Who makes the call: mostly somebody who may."""
        number = sum(self.answers.get(operation_of(case), Counter()).values())
        role = MERCHANT if is_for_merchants(case) else BUYER
        turn = TURNS.get(number % 10, role)
        if turn == "other":
            return BUYER if role == MERCHANT else MERCHANT
        return ERASED if (operation_of(case), turn) == ("erase_me", BUYER) else turn

    def fill(self, case: schemathesis.Case[Any]) -> None:
        """Puts real values in the place of placeholders."""
        operation_id = operation_of(case)
        for name, value in case.path_parameters.items():
            kind = SPENDING.get((operation_id, name), name)
            # What nothing was seeded of keeps a name that leads nowhere; the last test misses its success.
            if str(value).startswith(PLACEHOLDER) and kind in self.ids:
                case.path_parameters[name] = _chosen(self.ids[kind], value)
        if isinstance(case.body, dict):
            variant_id = str(case.body.get("variant_id"))
            if variant_id.startswith(PLACEHOLDER):
                case.body["variant_id"] = _chosen(self.ids["variant_id"], variant_id)
        cursor = str(case.query.get("cursor", ""))
        if cursor.startswith(PLACEHOLDER):
            self._fill_cursor(case, cursor)

    def _fill_cursor(self, case: schemathesis.Case[Any], placeholder: str) -> None:
        del case.query["cursor"]
        cursors = self.cursors.get(operation_of(case), [])
        if cursors and case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            # A cursor goes with the filters of the page that it came with, and these had none.
            limit = {name: value for name, value in case.query.items() if name == "limit"}
            case.query = limit | {"cursor": _chosen(cursors, placeholder)}


def operation_of(case: schemathesis.Case[Any]) -> str:
    """The operation's id."""
    return str(case.operation.definition.raw["operationId"])


def is_for_merchants(case: schemathesis.Case[Any]) -> bool:
    """What is under their own path, whatever changes products and deals, and giving money back."""
    changes = case.method.upper() != "GET" and {"products", "deals"} & set(
        case.operation.definition.raw["tags"]
    )
    refunds = operation_of(case) == "refund_order"
    own = ("/v1/merchant/", "/v1/webhook-endpoints")
    return case.path.startswith(own) or bool(changes) or refunds


def _chosen(values: list[str], placeholder: str) -> str:
    return values[int(placeholder.rpartition("-")[2]) % len(values)]


async def seed(site: Site, url: str) -> Seeds:
    """Fills a marketplace that has just started."""
    tokens = {caller: (await site.tokens(*who))[0] for caller, who in CALLERS.items()}
    async with open_client(url, token=tokens[MERCHANT]) as merchant:
        products = [await merchant.create_product(_product(number)) for number in range(2)]
        variants = [variant.id for product in products for variant in product.variants]
        deals = [await merchant.create_deal(_deal(variants[0])) for _ in range(OF_EACH)]
        spent_deals = [await merchant.create_deal(_deal(variants[0], stock=10)) for _ in range(OF_EACH)]
        keys = [await merchant.create_api_key(NewApiKey(f"key {number}")) for number in range(OF_EACH)]
        hooks = [await merchant.create_webhook_endpoint(NewWebhookEndpoint(url=HOOK)) for _ in range(OF_EACH)]
        pings = [await merchant.ping_webhook_endpoint(hooks[0].id) for _ in range(OF_EACH)]
        buyer = merchant.calling_as(tokens[BUYER])
        orders, spent_orders = await _orders(buyer, deals)
        cursors = await _cursors(merchant, buyer)
        group_id = str(orders[0].group_id)
        await buyer.invite_to_group(group_id, NewInvites(recipients=[Recipient(email=INVITED)]))
        deliveries = await merchant.list_webhook_deliveries(hooks[0].id, limit=1)
        cursors["list_webhook_deliveries"] = [str(deliveries.next_cursor)]
    groups = [order.group for order in orders if order.group is not None]
    ids = {
        "product_id": [product.id for product in products],
        "variant_id": variants,
        "deal_id": [deal.id for deal in deals],
        "spent_deal_id": [deal.id for deal in spent_deals],
        "key_id": [key.id for key in keys],
        "endpoint_id": [hooks[0].id],
        "spent_endpoint_id": [hook.id for hook in hooks[1:]],
        "delivery_id": [ping.id for ping in pings],
        "order_id": [order.id for order in orders],
        "spent_order_id": [order.id for order in spent_orders],
        "group_id": [group.id for group in groups],
        "share_code": [group.share_code for group in groups],
        "token": [await _unsubscribe_token(url)],
    }
    return Seeds(url, tokens | {NOBODY: "no-token-at-all"}, ids, cursors)


async def _orders(buyer: Pintuan, deals: list[Deal]) -> tuple[list[Order], list[Order]]:
    """Orders that stay, and orders to cancel."""
    stay = [await buyer.open_group(deal.id, WISH) for deal in deals]
    stay.append(await buyer.buy_alone(deals[0].id, WISH))
    return stay, [await buyer.open_group(deal.id, WISH) for deal in deals]


async def _unsubscribe_token(url: str) -> str:
    """What the link of an invitation ends with, read where a developer would."""
    async with httpx.AsyncClient(base_url=url) as client:
        outbox = await client.get(
            "/dev/outbox", params={"to": INVITED}, headers={"Accept": "application/json"}
        )
    return str(outbox.json()["items"][0]["text"]).rpartition("/")[2]


async def _cursors(merchant: Pintuan, buyer: Pintuan) -> dict[str, list[str]]:
    """The second page of every list."""
    pages: dict[str, Page[Any]] = {
        "list_products": await merchant.list_products(limit=1),
        "list_deals": await merchant.list_deals(limit=1),
        "list_activity": await merchant.list_activity(limit=1),
        "list_api_keys": await merchant.list_api_keys(limit=1),
        "list_webhook_endpoints": await merchant.list_webhook_endpoints(limit=1),
        "list_sales": await merchant.list_sales(limit=1),
        "list_sold_groups": await merchant.list_sold_groups(limit=1),
        "list_orders": await buyer.list_orders(limit=1),
    }
    return {name: [str(page.next_cursor)] for name, page in pages.items()}


def _product(number: int) -> NewProduct:
    return NewProduct(f"Tea {number}", [NewVariant(f"tea-{number}", "Tea", ListPrice(1000, "USD"))])


def _deal(variant_id: str, *, stock: int = 1_000_000) -> NewDeal:
    return NewDeal(
        variant_id=variant_id,
        ladder=[NewTier(2, 900), NewTier(5, 800)],
        min_headcount=2,
        max_headcount=100,
        group_ttl_seconds=3600,
        stock=stock,
        per_buyer_units=1_000_000,
    )
