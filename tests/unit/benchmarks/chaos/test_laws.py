"""Every law finds its own breach in a history that is good otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from benchmarks.chaos.books import Books, OrderKept
from benchmarks.chaos.history import Call, History
from benchmarks.chaos.laws import LAWS, check
from tests.unit.benchmarks.chaos.world import (
    DEAL,
    FAILED_GROUP,
    GROUP,
    ORDERS,
    good,
    kept,
    looked,
    placed,
    refused,
    seen,
    uncharged,
)

FIRST = ORDERS[0]
Breach = Callable[[History, Books], tuple[History, Books]]


def with_order(number: int, **changes: Any) -> Breach:
    """The order of this number is kept otherwise."""

    def change(history: History, books: Books) -> tuple[History, Books]:
        orders = [
            msgspec.structs.replace(order, **changes) if order.id == f"ord_{number}" else order
            for order in books.orders
        ]
        return history, msgspec.structs.replace(books, orders=orders)

    return change


def with_orders(*more: OrderKept) -> Breach:
    """There are more orders than were acknowledged."""
    return lambda history, books: (history, msgspec.structs.replace(books, orders=[*books.orders, *more]))


def without_order(number: int) -> Breach:
    def change(history: History, books: Books) -> tuple[History, Books]:
        orders = [order for order in books.orders if order.id != f"ord_{number}"]
        return history, msgspec.structs.replace(books, orders=orders)

    return change


def with_group(group_id: str, **changes: Any) -> Breach:
    def change(history: History, books: Books) -> tuple[History, Books]:
        groups = [
            msgspec.structs.replace(found, **changes) if found.id == group_id else found
            for found in books.groups
        ]
        return history, msgspec.structs.replace(books, groups=groups)

    return change


def with_deal(**changes: Any) -> Breach:
    return lambda history, books: (
        history,
        msgspec.structs.replace(books, deals=[msgspec.structs.replace(books.deals[0], **changes)]),
    )


def with_calls(*calls: Call) -> Breach:
    return lambda history, books: (msgspec.structs.replace(history, calls=[*history.calls, *calls]), books)


def answered(status: int, code: str | None = None, **changes: Any) -> Breach:
    """Somebody who has nothing else is answered so."""
    call = placed(FIRST, 15.0, buyer="zoe", wish="zoe join first", order=None, order_id=None)
    return with_calls(msgspec.structs.replace(call, status=status, code=code, **changes))


OTHER_BODY = placed(FIRST, 16.0, status=200, body_no=1)
ANOTHER = msgspec.structs.replace(seen(FIRST), id="ord_9")
MOVED = msgspec.structs.replace(seen(FIRST), promised_minor=700)

BREACHES: list[tuple[str, Breach]] = [
    ("acknowledged_orders_are_kept", without_order(1)),
    ("acknowledged_orders_are_kept", with_order(1, promised_minor=950)),
    ("acknowledged_orders_are_kept", with_order(1, seat=4)),
    ("acknowledged_orders_are_kept", with_order(2, buyer_id="somebody")),
    ("acknowledged_orders_are_kept", with_order(2, payment_method="pm_slow")),
    ("one_key_one_order", with_calls(placed(FIRST, 16.0, status=200, order=ANOTHER))),
    ("one_key_one_order", with_calls(refused(placed(FIRST, 0.0), 16.0, "group_full"))),
    ("one_key_one_order", with_calls(refused(placed(FIRST, 0.0), 16.0, "already_joined", order_id=FIRST.id))),
    ("another_body_is_refused", with_calls(OTHER_BODY)),
    ("another_body_is_refused", with_calls(refused(OTHER_BODY, 16.0, "group_full"))),
    ("nobody_has_an_order_unasked", with_orders(uncharged(8, "declined", "declined", buyer_id="buyer-1"))),
    ("nobody_has_an_order_unasked", with_orders(uncharged(8, "declined", "declined"))),
    ("nothing_is_oversold", with_deal(stock_units=5, lanes_stock=5)),
    ("nothing_is_oversold", with_deal(lanes_sold=7)),
    ("nothing_is_oversold", with_deal(lanes_stock=11)),
    ("nothing_is_oversold", with_deal(per_buyer_units=1)),
    ("nothing_is_oversold", with_order(2, seat=1)),
    ("nothing_is_oversold", with_order(2, buyer_id="buyer-1")),
    ("nothing_is_oversold", with_group(GROUP, capacity=1)),
    ("groups_end_once", with_group(GROUP, status="settling")),
    ("groups_end_once", with_group(GROUP, final_headcount=2)),
    ("groups_end_once", with_group(GROUP, final_unit_price_minor=900)),
    ("groups_end_once", with_group(FAILED_GROUP, status="succeeded")),
    ("groups_end_once", with_group(GROUP, settled_s=999.0)),
    ("groups_end_once", with_calls(looked(FAILED_GROUP, "succeeded", 15.0))),
    ("nobody_joins_after_the_deadline", with_order(1, created_s=1_000.0)),
    ("charges_keep_promises", with_order(1, final_minor=900)),
    ("charges_keep_promises", with_order(1, final_minor=700)),
    ("charges_keep_promises", with_order(7, final_minor=800)),
    ("charges_keep_promises", with_order(4, final_minor=800)),
    ("charges_keep_promises", with_order(1, group_id=FAILED_GROUP)),
    ("orders_end_as_they_should", with_order(1, status="expired")),
    ("orders_end_as_they_should", with_order(1, status="declined")),
    ("orders_end_as_they_should", with_order(1, status="payment_failed")),
    ("orders_end_as_they_should", with_order(1, status="cancelled")),
    ("orders_end_as_they_should", with_order(1, status="released")),
    ("orders_end_as_they_should", with_order(5, status="captured")),
    ("orders_end_as_they_should", with_order(6, status="authorised")),
    ("orders_end_as_they_should", with_order(7, status="expired")),
    ("cancelled_orders_stay_cancelled", with_order(4, status="captured")),
    ("ledger_and_gateway_agree", with_order(1, captured=0)),
    ("ledger_and_gateway_agree", with_order(1, sold=800)),
    ("ledger_and_gateway_agree", with_order(3, written_off=0)),
    ("ledger_and_gateway_agree", with_order(1, gateway_captured=800)),
    ("ledger_and_gateway_agree", with_order(1, gateway_status="voided", gateway_captured=0)),
    ("ledger_and_gateway_agree", with_order(6, gateway_status="captured", gateway_captured=900)),
    ("ledger_and_gateway_agree", with_order(6, gateway_status="authorised", void="failed")),
    ("answers_are_of_the_contract", answered(500)),
    ("answers_are_of_the_contract", answered(503)),
    ("answers_are_of_the_contract", answered(404, "not_found")),
    ("answers_are_of_the_contract", answered(200, detail="no JSON")),
    ("refusals_are_true", answered(409, "deal_not_active")),
    ("refusals_are_true", answered(409, "already_joined", order_id=FIRST.id)),
    ("refusals_are_true", answered(409, "limit_reached")),
    ("reads_never_go_back", with_calls(looked(GROUP, "open", 15.0))),
    ("reads_never_go_back", with_calls(looked(GROUP, "closing", 15.0))),
    (
        "reads_never_go_back",
        with_calls(looked(GROUP, "closing", 15.0, "event"), looked(GROUP, "open", 16.0, "event")),
    ),
    ("reads_never_go_back", with_calls(placed(FIRST, 16.0, status=200))),
    ("reads_show_what_is_kept", with_calls(placed(FIRST, 16.0, status=200, order=MOVED))),
    (
        "reads_show_what_is_kept",
        with_calls(placed(FIRST, 16.0, order=msgspec.structs.replace(seen(FIRST), status="expired"))),
    ),
    (
        "reads_show_what_is_kept",
        with_calls(
            placed(FIRST, 16.0, order=msgspec.structs.replace(seen(FIRST, "captured"), charged_minor=750))
        ),
    ),
]


def test_a_good_history_breaks_no_law() -> None:
    assert check(*good()) == []


@pytest.mark.parametrize(("law", "breach"), BREACHES)
def test_a_broken_law_is_found(law: str, breach: Breach) -> None:
    assert law in {anomaly.law for anomaly in check(*breach(*good()))}


def test_what_must_hold_in_the_end_is_not_asked_of_a_round_that_did_not_come_to_it() -> None:
    history, books = with_group(GROUP, status="settling")(*good())

    assert check(history, books, is_over=False) == []
    assert check(*without_order(1)(history, books), is_over=False) != []


def test_every_law_is_broken_by_some_history() -> None:
    assert {law for law, _ in BREACHES} == {law.__name__ for law in LAWS}


def test_sold_out_is_a_lie_where_fewer_were_ever_wanted_than_there_are() -> None:
    history, books = answered(409, "sold_out")(*good())
    assert check(history, books) == [], "sixteen were wanted of ten"

    roomy = with_deal(stock_units=100, lanes_stock=100)(history, books)
    assert [anomaly.law for anomaly in check(*roomy)] == ["refusals_are_true"]


def test_a_deal_that_was_paused_or_got_more_stock_may_have_been_so() -> None:
    history, books = answered(409, "deal_not_active")(*good())
    roomy = with_deal(stock_units=100, lanes_stock=100)(*answered(409, "sold_out")(history, books))

    assert check(*roomy) != []
    assert check(msgspec.structs.replace(roomy[0], changed_deals={DEAL}), roomy[1]) == []


def test_what_may_have_happened_is_no_anomaly() -> None:
    """An attempt without an answer may have placed the order; a cancel without one may have been made."""
    history, books = good()
    lost = msgspec.structs.replace(
        history.calls[0], status=0, order=None, order_id=None, invoked_s=-1.0, ended_s=0.5
    )
    shut = refused(history.calls[0], 0.01, "group_full")
    cancel = next(call for call in history.calls if call.verb == "cancel")
    unheard = msgspec.structs.replace(cancel, status=0, order=None)
    calls = [lost, shut, *(unheard if call is cancel else call for call in history.calls)]

    assert check(msgspec.structs.replace(history, calls=calls), books) == []


def test_an_order_may_be_left_out_when_its_group_has_waited_for_it_in_full_and_at_no_other_time() -> None:
    good_as_such = with_group(FAILED_GROUP, final_headcount=0)(*good())
    patient = with_group(FAILED_GROUP, settled_s=1_010.5)(*good_as_such)
    left_out = with_order(6, status="expired", changed_s=1_010.5)(*patient)
    before = with_order(6, status="expired", changed_s=1_003.0)(*patient)
    at_once = with_order(6, status="expired", changed_s=1_000.5)(*good_as_such)

    assert check(*left_out) == []
    assert {anomaly.law for anomaly in check(*before)} == {"orders_end_as_they_should"}
    assert {anomaly.law for anomaly in check(*at_once)} == {"orders_end_as_they_should"}


def test_an_order_nobody_could_be_told_of_any_more_is_none() -> None:
    """After days nobody can ask with the same key again."""
    history, books = with_orders(
        uncharged(8, "declined", "declined", buyer_id="buyer-5", payment_method="pm_declined", seat=4)
    )(*good())

    assert check(history, books) != []
    assert check(msgspec.structs.replace(history, keys_forgotten=True), books) == []


def test_the_deal_is_one() -> None:
    assert kept(1).deal_id == DEAL
