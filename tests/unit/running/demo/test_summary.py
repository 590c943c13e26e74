"""What is left on the screen at the end."""

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from pintuan.running.demo import summary
from pintuan.running.demo.board import Placed, Record
from pintuan.running.demo.plan import Step
from tests.unit.running.demo.samples import deal, good_record, group, order, scene, usd


def open_record() -> Record:
    step = Step("open", "Nils", ends_as="authorised")
    record = Record(scene(steps=(step,), ends_as="open"), deal("Mug"), group(headcount=1))
    record.placed["Nils"] = Placed(step, order("authorised", of=record.group))
    return record


def table_lines(*records: Record, width: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, _environ={}).print(summary.groups_table(records, width=width))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_each_group_shows_list_promised_and_paid_prices() -> None:
    record = good_record()
    record.placed["Ana"].order = order(promised=950, charged=900)
    assert table_lines(record, width=120) == [
        "deal ended in list promised paid each paid in all saved",
        "Kettle succeeded 2/4 10.00 USD 9.00–9.50 USD 9.00 USD 27.00 USD 3.00 USD",
    ]


def test_a_wide_terminal_shows_what_was_given_back() -> None:
    record = good_record()
    paid = record.placed["Ana"].order
    record.placed["Ana"].order = msgspec.structs.replace(paid, refunded_total=usd(300))
    header, line = table_lines(record, width=130)
    assert header.endswith("saved given back")
    assert line.endswith("27.00 USD 3.00 USD 3.00 USD")
    assert table_lines(good_record(), width=130)[1].endswith("27.00 USD 3.00 USD")


def test_a_group_that_nobody_paid_shows_no_payment() -> None:
    assert table_lines(open_record(), width=120)[1] == "Mug open 1/4 10.00 USD 9.00 USD"


def test_a_solo_purchase_shows_as_alone() -> None:
    step = Step("buy", "Sam")
    record = Record(scene(steps=(step,), ends_as="solo"), deal())
    record.placed["Sam"] = Placed(step, order(promised=1000, charged=1000))
    line = table_lines(record, width=120)[1]
    assert line == "Kettle alone 10.00 USD 10.00 USD 10.00 USD 10.00 USD 0.00 USD"


@pytest.mark.parametrize("width", [80, 92, 108])
def test_a_narrow_terminal_loses_columns_and_never_digits(width: int) -> None:
    header, line = table_lines(good_record(), width=width)
    assert "promised paid each" in header
    assert "…" not in line


def test_orders_are_counted_by_status() -> None:
    assert summary.orders_line([good_record(), open_record()]) == "3 orders: 2 captured, 1 authorised"
    assert summary.orders_line([]) == "no orders"


def test_only_open_groups_are_left_to_share() -> None:
    assert summary.links_left([good_record(), open_record()]) == [
        "  http://localhost:8000/g/k7mq3xw9bd  Mug, 1 of 4 in"
    ]


def test_the_lines_to_paste_look_and_join_with_a_token() -> None:
    look, join = summary.lines_to_paste([open_record()], url="http://127.0.0.1:8000", token="t.o.k")
    assert look == "curl -s http://127.0.0.1:8000/v1/share/k7mq3xw9bd"
    assert join.startswith(
        "curl -s http://127.0.0.1:8000/v1/groups/grp_1/join -H 'Authorization: Bearer t.o.k'"
    )
    assert '{"payment_method": "pm_ok"}' in join


def test_without_an_open_group_there_is_nothing_to_paste() -> None:
    assert summary.lines_to_paste([good_record()], url="http://127.0.0.1:8000", token="t") == []
