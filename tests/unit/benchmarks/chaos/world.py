"""A small seed in which every law was kept, for tests to break one of them."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.chaos.books import Books, DealKept, GroupKept, OrderKept
from benchmarks.chaos.history import Call, GroupSeen, History, OrderSeen

DEAL, GROUP, FAILED_GROUP = "deal_1", "grp_1", "grp_2"
JOIN, BUY = f"/v1/deals/{DEAL}/join", f"/v1/deals/{DEAL}/buy"
STATUS = {"held": 201}


def kept(number: int, **changes: Any) -> OrderKept:
    """An order of group GROUP that was captured at 800 for one."""
    order = OrderKept(
        id=f"ord_{number}",
        deal_id=DEAL,
        group_id=GROUP,
        seat=number,
        buyer_id=f"buyer-{number}",
        quantity=2,
        status="captured",
        promised_minor=900,
        final_minor=800,
        payment_method="pm_ok",
        created_s=900.0,
        changed_s=1_001.0,
        authorise="succeeded",
        capture="succeeded",
        void=None,
        escalated=False,
        sold=1_600,
        captured=1_600,
        written_off=0,
        gateway_status="captured",
        gateway_captured=1_600,
    )
    return msgspec.structs.replace(order, **changes)


def uncharged(number: int, status: str, gateway_status: str | None, **changes: Any) -> OrderKept:
    """An order that ended in `status` and cost nobody anything."""
    nothing: dict[str, Any] = {
        "final_minor": None,
        "sold": 0,
        "captured": 0,
        "gateway_captured": 0,
        "capture": None,
    }
    return kept(number, status=status, gateway_status=gateway_status, **nothing, **changes)


def seen(order: OrderKept, status: str = "held") -> OrderSeen:
    """The order as its buyer saw it before it was charged."""
    return OrderSeen(
        id=order.id,
        deal_id=order.deal_id,
        group_id=order.group_id,
        seat=order.seat,
        status=status,
        quantity=order.quantity,
        promised_minor=order.promised_minor,
        charged_minor=None,
    )


def placed(of: OrderKept, at_s: float, **changes: Any) -> Call:
    """The call by which an order was acknowledged, a tenth of a second after it was made."""
    path = JOIN if of.group_id else BUY
    call = Call(
        verb="place",
        buyer=of.buyer_id,
        about=path,
        wish=f"{of.buyer_id} {path} first",
        invoked_s=at_s,
        ended_s=at_s + 0.1,
        status=201,
        quantity=of.quantity,
        payment_method=of.payment_method,
        order=seen(of),
        order_id=of.id,
    )
    return msgspec.structs.replace(call, **changes)


def refused(call: Call, at_s: float, code: str, status: int = 409, **changes: Any) -> Call:
    """The same call once more, refused."""
    nothing: dict[str, Any] = {"order": None, "order_id": None, "groups": ()}
    return msgspec.structs.replace(
        call, invoked_s=at_s, ended_s=at_s + 0.1, status=status, code=code, **(nothing | changes)
    )


def looked(group_id: str, status: str, at_s: float, verb: Any = "group") -> Call:
    """A look at a group."""
    group = GroupSeen(id=group_id, status=status, headcount=2, held=0, max_headcount=4, deadline="")
    return Call(
        verb=verb, buyer="", about=group_id, invoked_s=at_s, ended_s=at_s + 0.1, status=200, groups=(group,)
    )


def group(group_id: str = GROUP, **changes: Any) -> GroupKept:
    """A group that succeeded with three of four at its deadline."""
    found = GroupKept(
        id=group_id,
        deal_id=DEAL,
        status="succeeded",
        capacity=4,
        min_headcount=2,
        tier_headcounts=[2, 3, 4],
        tier_prices_minor=[900, 800, 700],
        final_headcount=3,
        final_unit_price_minor=800,
        deadline_s=1_000.0,
        closing_s=1_000.0,
        settled_s=1_000.5,
    )
    return msgspec.structs.replace(found, **changes)


ORDERS = (
    kept(1),
    kept(2),
    kept(
        3,
        status="payment_failed",
        payment_method="pm_capture_fails",
        capture="declined",
        captured=0,
        written_off=1_600,
        gateway_status="authorised",
        gateway_captured=0,
    ),
    uncharged(4, "cancelled", "voided", void="succeeded", seat=4),
    uncharged(5, "declined", "declined", payment_method="pm_declined", authorise="declined", seat=4),
    uncharged(6, "released", "voided", void="succeeded", group_id=FAILED_GROUP, seat=1),
    kept(7, group_id=None, seat=None, final_minor=900, sold=1_800, captured=1_800, gateway_captured=1_800),
)


def good() -> tuple[History, Books]:
    """A history with every kind of order, and the books it should have led to."""
    calls = [placed(order, float(number)) for number, order in enumerate(ORDERS)]
    cancelled = ORDERS[3]
    calls += [
        Call(
            verb="cancel",
            buyer=cancelled.buyer_id,
            about=cancelled.id,
            invoked_s=10.0,
            ended_s=10.1,
            status=200,
            order=seen(cancelled, "cancelled"),
        ),
        looked(GROUP, "open", 11.0),
        looked(GROUP, "closing", 12.0),
        looked(GROUP, "succeeded", 13.0),
        placed(ORDERS[0], 14.0, status=200, order=seen(ORDERS[0], "authorised")),
    ]
    deal = DealKept(id=DEAL, stock_units=10, per_buyer_units=2, lanes_stock=10, lanes_sold=6)
    failed = group(FAILED_GROUP, status="failed", final_headcount=1, final_unit_price_minor=900)
    return History(seed=1, calls=calls, deals_ended_s=20.0), Books(
        deals=[deal], groups=[group(), failed], orders=list(ORDERS)
    )
