"""A frame is a pure function of a snapshot and fits the terminal."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from pintuan.base.wire.money import Money
from pintuan.running.demo import view
from pintuan.running.demo.board import Event, Row, RowStatus, Snapshot, Totals
from tests.unit.running.demo.samples import usd

TOTALS = Totals(
    orders=45,
    paid=32,
    refused=5,
    groups_succeeded=8,
    groups_failed=2,
    captured=(Money(478600, "KWD"), Money(45200, "JPY"), usd(50380)),
)


def row(status: RowStatus = "open", title: str = "Gooseneck Kettle, ivory", **changes: object) -> Row:
    fields = {
        "title": title,
        "list_price": Money(18750, "KWD"),
        "unit_price": Money(16500, "KWD"),
        "headcount": 3,
        "held": 1,
        "min_headcount": 4,
        "max_headcount": 8,
        "missing": 1,
        "next_price": Money(14250, "KWD"),
        "left_s": 21599.0,
        "status": status,
    } | changes
    return Row(**fields)  # type: ignore[arg-type]  # Each test says what it changes.


def snapshot(*rows: Row, events: int = 30) -> Snapshot:
    told = tuple(Event(float(at), f"event {at}: " + "price falls " * 12, "good") for at in range(events))
    return Snapshot(elapsed_s=12.3, rows=rows, events=told, totals=TOTALS)


def lines_of(drawn: RenderableType, *, width: int = 120, colour: bool = False) -> list[str]:
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None, _environ={}
    )
    console.print(drawn)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 84, 108, 160])
@pytest.mark.parametrize("height", [24, 30, 50])
def test_a_frame_fits_the_terminal_and_cuts_no_price(width: int, height: int) -> None:
    rows = [row()] * 14
    lines = lines_of(view.frame(snapshot(*rows), width=width, height=height), width=width)
    assert len(lines) < height
    assert max(len(line) for line in lines) <= width
    assert "16.500 KWD 18.750 KWD" in "".join(lines)
    assert "event 29" in "".join(lines)


def test_the_list_price_is_struck_through() -> None:
    (line,) = lines_of(view.price(row()), colour=True)
    assert line == "\x1b[1m16.500 KWD\x1b[0m \x1b[2;9m18.750 KWD\x1b[0m"


def test_prices_have_the_decimals_of_their_currency() -> None:
    drawn = view.price(row(unit_price=Money(1300, "JPY"), list_price=usd(1500)))
    assert drawn.plain == "1300 JPY 15.00 USD"


@pytest.mark.parametrize(
    ("headcount", "held", "drawn"),
    [(0, 0, "╌╌╌┃╌╌╌╌"), (2, 1, "━━╍┃╌╌╌╌"), (3, 1, "━━━┃╌╌╌╌"), (4, 0, "━━━━╌╌╌╌"), (8, 0, "━━━━━━━━")],
)
def test_the_bar_shows_paid_held_and_free_seats_and_the_minimum(
    headcount: int, held: int, drawn: str
) -> None:
    assert view.bar(row(headcount=headcount, held=held)).plain == drawn


def test_a_bar_of_many_seats_stays_short() -> None:
    drawn = view.bar(row(headcount=500, held=0, max_headcount=1000, min_headcount=1000))
    assert drawn.plain == "━━━━━━╌╌╌╌╌┃"


@pytest.mark.parametrize(
    ("left_s", "text"), [(None, ""), (7.9, "0:07"), (65.0, "1:05"), (21599.0, "5:59:59"), (0.0, "0:00")]
)
def test_time_left_is_short_and_exact(left_s: float | None, text: str) -> None:
    assert view.time_left(left_s).plain == text


def test_the_outlook_names_what_is_missing() -> None:
    assert view.outlook(row(headcount=3)).plain == "1 more needed"
    assert view.outlook(row(headcount=4)).plain == "1 more for 14.250 KWD"
    assert view.outlook(row(headcount=8, missing=None, next_price=None)).plain == "lowest price"
    assert view.outlook(row("settling")).plain == ""


def test_on_a_low_terminal_groups_still_to_come_give_way_first() -> None:
    rows = (row("succeeded", "done"), row("waiting", "later"), row("open", "now"))
    assert [one.title for one in view.rows_that_fit(rows, 2)] == ["done", "now"]
    assert [one.title for one in view.rows_that_fit(rows, 1)] == ["now"]
    assert view.rows_that_fit(rows, 3) == rows
    assert view.rows_that_fit(rows, -1) == ()


@pytest.mark.parametrize("status", list(view.STATUS_STYLES))
def test_every_status_has_a_colour(status: RowStatus) -> None:
    (_, line) = lines_of(view.groups_table((row(status),), width=120), colour=True)
    assert status in line
    assert "\x1b[" in line


def test_totals_count_and_sum_up() -> None:
    assert view.totals_line(TOTALS).plain == (
        "45 orders, 32 paid, 5 refused   groups: 8 succeeded, 2 failed"
        "   captured 478.600 KWD + 45200 JPY + 503.80 USD"
    )


def test_totals_tell_what_was_given_back() -> None:
    totals = replace(TOTALS, given_back=(Money(2500, "USD"), Money(300, "JPY")))
    assert view.totals_line(totals).plain.endswith("+ 503.80 USD, given back 25.00 USD + 300 JPY")
