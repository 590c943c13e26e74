"""How each operation is called so that whoever may make it is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from tests.acceptance.authorisation.world import HOOK, SHOP, World
from tests.acceptance.shoppers import ORDER

GROUP_TERMS: Final = {
    "ladder": [{"headcount": 2, "unit_price": 900}],
    "min_headcount": 2,
    "max_headcount": 10,
    "group_ttl_seconds": 3600,
    "stock": 10,
    "per_buyer_units": 10,
}
FEED: Final = "id,title,price\nF-%d,Tea,10.00 USD\n"
A_YEAR: Final = {"created_from": "2030-01-01T00:00:00Z", "created_to": "2030-06-01T00:00:00Z"}
PRODUCT: Final = {
    "title": "Pot",
    "variants": [{"sku": "P", "title": "Red", "list_price": {"amount": 500, "currency": "USD"}}],
}


class Call(NamedTuple):
    """One call, ready to be sent; `ids` are those in its path."""

    method: str
    url: str
    ids: tuple[str, ...]
    params: dict[str, str]
    json: object
    content: bytes | None
    headers: dict[str, str]


# What stands in a body or is asked for in a query, where the same will do for everybody.
BODIES: Final[dict[str, Any]] = {
    "change_product": {"title": "Kettle"},
    "change_deal": {"title": "Kettle"},
    "create_product": PRODUCT,
    "refund_order": {"amount": 1, "reason": "late"},
    "join_deal": ORDER,
    "open_group": ORDER,
    "join_group": ORDER,
    "buy_alone": ORDER,
    "invite_to_group": {"recipients": [{"email": "somebody@example.com"}]},
    "create_api_key": {"name": "another"},
    "create_webhook_endpoint": {"url": "https://127.0.0.1:1024/another"},
    "change_webhook_endpoint": {"url": HOOK},
    "replay_webhook_events": {"created_from": "2030-01-01T00:00:00Z"},
    "revoke_session": {"refresh_token": "none"},
    "receive_gateway_event": {"id": "evt_1", "object": "event"},
}
# Everybody asks for the owner's books: an admin must name whose, and no other merchant may.
QUERIES: Final[dict[str, dict[str, str]]] = {
    "list_activity": {"merchant_id": SHOP},
    "list_sales": {"merchant_id": SHOP},
    "export_sales": {"merchant_id": SHOP},
    "list_sold_groups": {"merchant_id": SHOP},
    "get_balance": {"merchant_id": SHOP},
    "get_statement": {"merchant_id": SHOP} | A_YEAR,
}
_Made = Callable[[World], Awaitable[str]]
# Objects that a served call spends, or that nobody could be served on twice.
SPENT: Final[dict[str, dict[str, _Made]]] = {
    "change_deal": {"deal_id": World.fresh_deal},
    "pause_deal": {"deal_id": World.fresh_deal},
    "resume_deal": {"deal_id": World.paused_deal},
    "end_deal": {"deal_id": World.fresh_deal},
    "join_deal": {"deal_id": World.fresh_deal},
    "open_group": {"deal_id": World.fresh_deal},
    "buy_alone": {"deal_id": World.fresh_deal},
    "join_group": {"group_id": World.fresh_group},
    "cancel_order": {"order_id": World.fresh_order},
    "refund_order": {"order_id": World.paid_order},
    "delete_webhook_endpoint": {"endpoint_id": World.fresh_endpoint},
    "rotate_webhook_secret": {"endpoint_id": World.fresh_endpoint},
}
LAST: Final = ("erase_me",)
"""What takes from callers what other calls need."""


async def call_of(
    world: World, operation_id: str, method: str, path: str, *, strange: bool = False, spend: bool = False
) -> Call:
    """Returns the call on the owners' objects.

    With `strange` it is on objects that are not there, with `spend` on some of its own where it needs them.
    """
    ids = {"gateway": "sandbox"} | world.ids
    if strange:
        ids = dict.fromkeys(ids, "nothing_of_this_name")
    if spend:
        ids |= {name: await make(world) for name, make in SPENT.get(operation_id, {}).items()}
        if operation_id == "delete_api_key":
            ids["key_id"] = str((await world.fresh_key())["id"])
    body = BODIES.get(operation_id)
    if operation_id == "create_deal":
        body = {"variant_id": ids["variant_id"], **GROUP_TERMS}
    elif operation_id == "send_code":
        body = {"email": f"asks-{next(world.numbers)}@example.com"}
    elif operation_id == "issue_tokens":
        body = await world.fresh_code()
    is_feed = operation_id == "import_feed"
    return Call(
        method,
        path.format_map(ids),
        tuple(value for name, value in ids.items() if f"{{{name}}}" in path),
        QUERIES.get(operation_id, {}),
        body,
        (FEED % next(world.numbers)).encode() if is_feed else None,
        world.key() | ({"Content-Type": "text/csv"} if is_feed else {}),
    )
