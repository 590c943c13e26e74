"""Requests to the engine and its answers, apart from its refusals (`groups.errors`)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from groups.errors import (
    AlreadyJoined,
    DealNotActive,
    GroupClosed,
    GroupFull,
    GroupsError,
    LimitReached,
    RateLimited,
    SoldOut,
)
from groups.ids import new_id, new_share_code
from groups.lane_store import PlaceItem, PlaceResult

Verb = Literal["group", "best", "open", "solo"]


class Placement(msgspec.Struct, frozen=True):
    """One buyer's request for a seat.

    `verb` is `group` (this group only), `best` (the fullest open group, or a new one), `open` (a new group)
    or `solo` (no group, at list price). `request_id` is 16 bytes naming principal, call and idempotency key;
    `body_digest` tells two bodies under one key apart.
    """

    verb: Verb
    deal_id: str
    group_id: str | None
    buyer_id: str
    quantity: int
    payment_method: str
    request_id: bytes
    body_digest: bytes
    invite_code: str | None = None
    ship_to: dict[str, object] | None = None


class PlacedGroup(msgspec.Struct, frozen=True):
    """An open group as it stood when a batch of its seats was committed; one object serves the whole batch.

    `headcount` counts authorised members, `taken` every live seat; prices are in minor units of `currency`.
    """

    id: str
    deal_id: str
    share_code: str
    capacity: int
    min_headcount: int
    tier_headcounts: tuple[int, ...]
    tier_prices_minor: tuple[int, ...]
    currency: str
    opened_at: datetime
    deadline: datetime
    headcount: int
    taken: int


class Placed(msgspec.Struct, frozen=True):
    """An order at its beginning: held, in a group or, with a group of None, alone at list price."""

    deal_id: str
    quantity: int
    seat: int | None
    promised_unit_minor: int
    currency: str
    created_at: datetime
    group: PlacedGroup | None


class Recorded(msgspec.Struct, frozen=True):
    """A durable order. `replayed` is true when an earlier call with the same key made it.

    `placed` is there when this very call wrote the order and heard of it; otherwise the order must be read.
    """

    order_id: str
    replayed: bool
    placed: Placed | None = None


class Seat(msgspec.Struct, frozen=True):
    """A seat the lane gave out and Postgres has not confirmed yet.

    `share_code` and `leader_order_id` come with a group whose row may not exist yet. `taken` is how many of
    the group's seats were taken once this one was.
    """

    placement: Placement
    lane_no: int
    order_id: str
    group_id: str | None
    seat_no: int | None
    share_code: str | None
    leader_order_id: str | None
    replayed: bool
    taken: int


class CommittedGroup(msgspec.Struct, frozen=True):
    """A group that is known to be in Postgres, with the deadline it has there."""

    group_id: str
    deadline: datetime


def item_of(placement: Placement) -> PlaceItem:
    """Names the order, and the group it may open, before the lane decides."""
    opens = placement.verb in ("best", "open")
    return PlaceItem(
        verb=placement.verb,
        group_id=placement.group_id or "",
        order_id=new_id("ord"),
        request_id=placement.request_id.hex(),
        buyer=placement.buyer_id,
        quantity=placement.quantity,
        new_group_id=new_id("grp") if opens else "",
        share_code=new_share_code() if opens else "",
    )


def seat_of(placement: Placement, lane_no: int, result: PlaceResult) -> Seat:
    """Reads a `placed` or `replayed` result of `place.lua`."""
    outcome, order_id, group_id, seat_no, share_code, leader_order_id, taken = result
    return Seat(
        placement=placement,
        lane_no=lane_no,
        order_id=order_id,
        group_id=group_id or None,
        seat_no=seat_no if group_id else None,
        share_code=share_code or None,
        leader_order_id=leader_order_id or None,
        replayed=outcome == "replayed",
        taken=taken,
    )


_REFUSALS: dict[str, type[GroupsError]] = {
    "deal_not_active": DealNotActive,
    "group_closed": GroupClosed,
    "group_full": GroupFull,
    "limit_reached": LimitReached,
    "sold_out": SoldOut,
}
_REASONS = {
    "deal_not_active": "the deal is not running now",
    "group_closed": "the group no longer takes anybody in",
    "group_full": "every seat of the group is taken",
    "limit_reached": "the order would exceed the units one buyer may have of this deal",
    "sold_out": "the deal has fewer units left than the order asks for",
}


def refusal_of(result: PlaceResult) -> GroupsError:
    """Reads a refusing result of `place.lua`."""
    code = result[0]
    if code == "already_joined":
        return AlreadyJoined(result[1])
    if code == "rate_limited":
        return RateLimited("too many joins", retry_after_s=max(1, -(-int(result[1]) // 1000)))
    return _REFUSALS[code](_REASONS[code])
