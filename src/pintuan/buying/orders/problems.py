"""The answers to the engine's refusals to place or cancel an order."""

from __future__ import annotations

from typing import Final

from groups.errors import AlreadyJoined, CancelLocked, LimitReached, NotCancellable, OrderNotFound, SoldOut
from pintuan.buying.orders.errors import OfferChanged
from pintuan.http.problems import LIMIT_REACHED, NOT_FOUND, Kind

PROBLEMS: Final = {
    OrderNotFound: NOT_FOUND,
    AlreadyJoined: Kind(
        409,
        "already_joined",
        "You are already in",
        "You already have a live seat; order_id names its order.",
        shows=("order_id",),
    ),
    LimitReached: LIMIT_REACHED,
    SoldOut: Kind(409, "sold_out", "Sold out", "The deal has fewer units left than you asked for."),
    OfferChanged: Kind(
        409,
        "offer_changed",
        "The offer has changed",
        "The deal offers something else than the offer_id you sent; show it to the buyer again.",
    ),
    CancelLocked: Kind(
        409,
        "cancel_locked",
        "Cancelling is locked",
        "Leaving now would raise the price above what another member was promised.",
    ),
    NotCancellable: Kind(
        409, "not_cancellable", "Too late to cancel", "The order can no longer be cancelled."
    ),
}
