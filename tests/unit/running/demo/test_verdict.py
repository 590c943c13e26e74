"""The show is judged: what went as planned is silent, every difference is named."""

import msgspec
import pytest

from pintuan.buying.groups.schemas import Order, OrderStatus, Refund
from pintuan.running.demo.board import Placed, Record
from pintuan.running.demo.plan import GivenBack, Step
from pintuan.running.demo.verdict import faults_of
from tests.unit.running.demo.samples import deal, good_record, group, order, refund, scene, usd


def change_order(record: Record, actor: str, **changes: object) -> None:
    placed = record.placed[actor]
    placed.order = msgspec.structs.replace(placed.order, **changes)


def test_a_scene_that_went_as_planned_has_no_faults() -> None:
    assert faults_of([good_record()]) == []


def test_a_fault_of_the_scene_is_told_with_its_deal() -> None:
    record = good_record()
    record.faults.append("Mei was refused: sold_out: nothing left")
    assert faults_of([record]) == ["Kettle: Mei was refused: sold_out: nothing left"]


def test_a_group_that_never_was_is_a_fault() -> None:
    record = good_record()
    record.group = None
    assert "Kettle: there never was a group" in faults_of([record])


def test_another_ending_headcount_and_price_are_three_faults() -> None:
    record = good_record()
    record.group = group("failed", 1)
    assert faults_of([record])[:3] == [
        "Kettle: the group is failed, not succeeded",
        "Kettle: the group counts 1 members, not 2",
        "Kettle: the group settled at None, not 900 (minor units)",
    ]


def test_a_missing_order_and_another_status_are_faults() -> None:
    record = good_record()
    del record.placed["Ana"]
    change_order(record, "Mei", status="payment_failed")
    assert faults_of([record]) == [
        "Kettle: Ana has no order",
        "Kettle: Mei's order is payment_failed, not captured",
    ]


def test_paying_more_than_was_promised_is_a_fault() -> None:
    record = good_record()
    change_order(record, "Ana", promised_price=usd(800))
    assert faults_of([record]) == [
        "Kettle: Ana paid 9.00 USD a unit, not 8.00 USD",
        "Kettle: Ana paid 9.00 USD in all, not 8.00 USD",
    ]


def test_a_total_that_forgets_the_quantity_is_a_fault() -> None:
    record = good_record()
    change_order(record, "Mei", charged_total=usd(900))
    assert faults_of([record]) == ["Kettle: Mei paid 9.00 USD in all, not 18.00 USD"]


def test_a_capture_without_a_price_is_a_fault() -> None:
    record = good_record()
    change_order(record, "Ana", charged_total=None)
    assert faults_of([record]) == ["Kettle: Ana's payment was captured without a price"]


def test_a_charge_on_a_released_order_is_a_fault() -> None:
    steps = (Step("open", "Ana", ends_as="released"),)
    record = Record(scene(steps=steps, ends_as="failed"), deal(), group("failed", 1))
    record.placed["Ana"] = Placed(steps[0], order("released", charged=900))
    assert faults_of([record]) == ["Kettle: Ana paid 9.00 USD with an order that is released"]


@pytest.mark.parametrize(
    ("bought", "faults"),
    [
        (order(promised=1000, charged=1000), []),
        (
            order(promised=1000, charged=900),
            [
                "Kettle: Sam paid 9.00 USD a unit, not 10.00 USD",
                "Kettle: Sam paid 9.00 USD in all, not 10.00 USD",
            ],
        ),
    ],
    ids=["list price", "less"],
)
def test_buying_alone_costs_the_list_price(bought: Order, faults: list[str]) -> None:
    steps = (Step("buy", "Sam"),)
    record = Record(scene(steps=steps, ends_as="solo"), deal())
    record.placed["Sam"] = Placed(steps[0], bought)
    assert faults_of([record]) == faults


def refunded_record(
    *refunds: Refund, refunded: int, status: OrderStatus = "partially_refunded", given_back: int | None = 300
) -> Record:
    """A scene in which Ana gets some of her 900 back, and what became of it."""
    steps = (Step("open", "Ana", ends_as=status), Step("link", "Mei", "Ana", quantity=2))
    back = (GivenBack("Ana", given_back),)
    record = good_record()
    record.scene = scene(steps=steps, given_back=back)
    record.placed["Ana"].step = steps[0]
    change_order(record, "Ana", status=status, refunded_total=usd(refunded), refunds=list(refunds))
    return record


def test_money_given_back_as_planned_is_no_fault() -> None:
    assert faults_of([refunded_record(refund(300), refunded=300)]) == []
    whole = refunded_record(refund(900), refunded=900, status="refunded", given_back=None)
    assert faults_of([whole]) == []


@pytest.mark.parametrize(
    ("record", "faults"),
    [
        (
            refunded_record(refunded=0),
            [
                "Kettle: Ana was refunded [], not [(300, 'refunded')] (minor units)",
                "Kettle: Ana got 0 of 900 back, not 300 (minor units)",
            ],
        ),
        (
            refunded_record(refund(300, "failed"), refunded=0),
            [
                "Kettle: Ana was refunded [(300, 'failed')], not [(300, 'refunded')] (minor units)",
                "Kettle: Ana got 0 of 900 back, not 300 (minor units)",
            ],
        ),
        (
            refunded_record(refund(300), refunded=600),
            ["Kettle: Ana got 600 of 900 back, not 300 (minor units)"],
        ),
    ],
    ids=["never made", "refused", "counted twice"],
)
def test_money_given_back_otherwise_is_a_fault(record: Record, faults: list[str]) -> None:
    assert faults_of([record]) == faults


def test_money_given_back_to_somebody_else_is_a_fault() -> None:
    record = good_record()
    change_order(record, "Mei", refunded_total=usd(100), refunds=[refund(100)])
    assert faults_of([record]) == [
        "Kettle: Mei was refunded [(100, 'refunded')], not [] (minor units)",
        "Kettle: Mei got 100 of 1800 back, not 0 (minor units)",
    ]
