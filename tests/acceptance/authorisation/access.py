"""Who may make each call and whose object it is about: every route has a line here, and a new one needs one.

The table is written by hand and knows nothing of guards, so that a guard which is forgotten or wrong differs
from it. `test_matrix.py` beside it makes every call as everybody and holds the answers to it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from tests.acceptance.authorisation.identities import Identity

Audience = Literal["everyone", "visitors", "buyers", "sellers", "selling people"]
"""`everyone` means that credentials are not looked at; `visitors`, that none is needed but a bad one is
refused; `sellers` are merchants, their API keys and admins; `selling people`, the same without keys."""
Verdict = Literal["served", "unauthenticated", "forbidden", "not_found"]
STATUSES: Final[dict[Verdict, int]] = {"unauthenticated": 401, "forbidden": 403, "not_found": 404}

MERCHANT: Final = frozenset({"merchant", "merchant's key"})
OWNERS: Final[dict[str, frozenset[str]]] = {
    "order": frozenset({"buyer"}),
    "seat in the group": frozenset({"buyer", "fellow member"}),
    "goods": MERCHANT | {"admin"},
    "sale": MERCHANT | {"admin"},
    "books": MERCHANT | {"admin"},
    # An admin has keys and endpoints too, and nobody else's.
    "API key": frozenset({"merchant"}),
    "webhook endpoint": MERCHANT,
}
"""Whose each kind of object is, by the names of identities."""


class Access(NamedTuple):
    """One line: who may call at all, and whose object it is; an empty `about` is the caller's own."""

    audience: Audience
    about: str = ""
    to_strangers: Verdict = "not_found"


EVERYONE: Final = Access("everyone")
VISITORS: Final = Access("visitors")
MINE: Final = Access("buyers")
ORDER: Final = Access("buyers", "order")
SEAT: Final = Access("buyers", "seat in the group", to_strangers="forbidden")
OWN_SHOP: Final = Access("sellers")
GOODS: Final = Access("sellers", "goods")
SALE: Final = Access("sellers", "sale")
BOOKS: Final = Access("sellers", "books", to_strangers="forbidden")
ENDPOINT: Final = Access("sellers", "webhook endpoint")

ACCESS: Final[dict[str, Access]] = {
    # The operator's, whose proxy keeps them in.
    "live": EVERYONE,
    "ready": EVERYONE,
    "read_metrics": EVERYONE,
    # Signing in, and links that bring their own proof.
    "send_code": EVERYONE,
    "issue_tokens": EVERYONE,
    "revoke_session": EVERYONE,
    "ask_to_unsubscribe": EVERYONE,
    "unsubscribe": EVERYONE,
    # What there is to buy.
    "list_products": VISITORS,
    "get_product": VISITORS,
    "list_deals": VISITORS,
    "get_deal": VISITORS,
    "list_joinable_groups": VISITORS,
    "get_group": VISITORS,
    "get_shared_group": VISITORS,
    "watch_group": VISITORS,
    # Buying.
    "join_deal": MINE,
    "open_group": MINE,
    "join_group": MINE,
    "buy_alone": MINE,
    "list_orders": MINE,
    "get_order": ORDER,
    "get_receipt": ORDER,
    "cancel_order": ORDER,
    "invite_to_group": SEAT,
    "list_invites": SEAT,
    "get_me": MINE,
    "export_me": MINE,
    "erase_me": MINE,
    # Selling.
    "create_product": OWN_SHOP,
    "import_feed": OWN_SHOP,
    "change_product": GOODS,
    "create_deal": GOODS,
    "change_deal": GOODS,
    "pause_deal": GOODS,
    "resume_deal": GOODS,
    "end_deal": GOODS,
    "refund_order": SALE,
    "get_sale": SALE,
    "get_funnel": SALE,
    "list_referrals": SALE,
    "list_sales": BOOKS,
    "export_sales": BOOKS,
    "list_sold_groups": BOOKS,
    "get_balance": BOOKS,
    "get_statement": BOOKS,
    "list_activity": BOOKS,
    "list_api_keys": OWN_SHOP,
    "create_api_key": Access("selling people"),
    "delete_api_key": Access("selling people", "API key"),
    "list_webhook_endpoints": OWN_SHOP,
    "create_webhook_endpoint": OWN_SHOP,
    "get_webhook_endpoint": ENDPOINT,
    "change_webhook_endpoint": ENDPOINT,
    "delete_webhook_endpoint": ENDPOINT,
    "rotate_webhook_secret": ENDPOINT,
    "ping_webhook_endpoint": ENDPOINT,
    "list_webhook_deliveries": ENDPOINT,
    "replay_webhook_delivery": ENDPOINT,
    "replay_webhook_events": ENDPOINT,
}

UNMADE: Final = {
    "receive_gateway_event": "only a gateway can sign one: tests/acceptance/money/gateway_events",
}
"""Operations that nobody here can be served by, and why; they still refuse everybody alike."""

UNDOCUMENTED: Final[dict[tuple[str, str], int]] = {
    ("GET", "/docs"): 200,
    ("GET", "/docs/problems"): 200,
    ("GET", "/docs/assets/{name}"): 200,
    ("GET", "/schema/openapi.json"): 200,
    ("GET", "/pages/assets/{name}"): 200,
    ("GET", "/.well-known/apple-app-site-association"): 404,
    ("GET", "/.well-known/assetlinks.json"): 404,
    ("GET", "/g/{share_code}"): 200,
    ("GET", "/g/{share_code}/card.png"): 200,
    ("GET", "/g/{share_code}/qr.svg"): 200,
    # A form counts with the token that its page gave to the browser it is sent from.
    ("POST", "/g/{share_code}/code"): 403,
    ("POST", "/g/{share_code}/sign-in"): 403,
    ("POST", "/g/{share_code}/sign-out"): 403,
    ("POST", "/g/{share_code}/join"): 403,
    ("POST", "/g/{share_code}/open"): 403,
}
"""Routes outside the contract, with what each answers; pages know people by a cookie and look at no token."""


ASKS_THE_ACCOUNT: Final = frozenset(
    {
        "create_api_key",
        "create_webhook_endpoint",
        "change_webhook_endpoint",
        "import_feed",
        "create_deal",
        "change_deal",
        "pause_deal",
        "resume_deal",
        "end_deal",
    }
)
"""What lasts and is a merchant's: whatever the token says, the account must be one that sells."""


def expected(operation_id: str, access: Access, who: Identity) -> Verdict:
    """What the call must come to when `who` makes it on the owners' objects."""
    if access.audience == "everyone":
        return "served"
    if not who.verifies or (who.role is None and access.audience != "visitors"):
        return "unauthenticated"
    if access.audience == "visitors":
        return "served"
    if (who.role == "buyer") != (access.audience == "buyers"):
        return "forbidden"
    if who.is_key and access.audience == "selling people":
        return "forbidden"
    if who.name == "merchant called as the buyer" and operation_id in ASKS_THE_ACCOUNT:
        return "forbidden"
    if access.about and who.name not in OWNERS[access.about]:
        return access.to_strangers
    return "served"
