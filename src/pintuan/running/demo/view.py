"""Draws one frame of the show from a snapshot: a pure function of it and of the terminal's size."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pintuan.running.demo.board import Event, Row, RowStatus, Snapshot, Tone, Totals
from pintuan.running.demo.narration import shown, summed

BAR_CELLS_MAX: Final = 12
# The widths of the columns at these widths of the terminal, with prices as long as "16.500 KWD".
WIDTH_FOR_LONG_TITLES: Final = 84
WIDTH_FOR_NEXT: Final = 108
TITLE_CELLS: Final = 20
LONG_TITLE_CELLS: Final = 26
TICKER_LINES_MIN: Final = 3
TICKER_LINES_MAX: Final = 12
# Title, header of the table, totals, the empty lines between them, and the cursor's own.
FIXED_LINES: Final = 8
LAST_SECONDS: Final = 4.0

STATUS_STYLES: Final[dict[RowStatus, str]] = {
    "waiting": "dim",
    "open": "cyan",
    "closing": "yellow",
    "settling": "yellow",
    "succeeded": "green",
    "failed": "red",
    "solo": "dim",
}
_TONE_STYLES: Final[dict[Tone, str]] = {"plain": "", "good": "green", "bad": "red", "quiet": "dim"}


def frame(snapshot: Snapshot, *, width: int, height: int) -> RenderableType:
    """Returns the frame, with fewer columns on a narrow terminal and fewer lines on a low one."""
    rows = rows_that_fit(snapshot.rows, height - FIXED_LINES - TICKER_LINES_MIN)
    lines = height - FIXED_LINES - len(rows)
    ticker_lines = max(TICKER_LINES_MIN, min(TICKER_LINES_MAX, lines))
    return Group(
        Text.assemble(("Pintuan, live", "bold"), (f"   {snapshot.elapsed_s:4.0f} s", "dim")),
        Padding(groups_table(rows, width=width), (1, 0)),
        ticker(snapshot.events[-ticker_lines:]),
        Padding(totals_line(snapshot.totals), (1, 0, 0, 0)),
    )


def rows_that_fit(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    """Returns up to `count` rows in their order: those still running, then those over, then those to come."""
    ranks = {"waiting": 2, "succeeded": 1, "failed": 1}
    places = sorted(range(len(rows)), key=lambda place: ranks.get(rows[place].status, 0))
    return tuple(rows[place] for place in sorted(places[: max(0, count)]))


def groups_table(rows: tuple[Row, ...], *, width: int) -> Table:
    """Returns the table of groups."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    title_cells = LONG_TITLE_CELLS if width >= WIDTH_FOR_LONG_TITLES else TITLE_CELLS
    table.add_column("deal", no_wrap=True, overflow="ellipsis", max_width=title_cells)
    table.add_column("members", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("price", no_wrap=True)
    if width >= WIDTH_FOR_NEXT:
        table.add_column("next", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for row in rows:
        members = f"{row.headcount}/{row.max_headcount}"
        cells = [Text(row.title), bar(row), Text(members), price(row), time_left(row.left_s)]
        if width >= WIDTH_FOR_NEXT:
            cells.insert(-1, outlook(row))
        table.add_row(*cells, Text(row.status, STATUS_STYLES[row.status]))
    return table


def bar(row: Row) -> Text:
    """Returns the members as a bar: paid for, waiting for their payment, free; a mark at the minimum."""
    cells = min(BAR_CELLS_MAX, row.max_headcount)
    paid, taken, enough = (
        min(cells, round(heads * cells / row.max_headcount))
        for heads in (row.headcount, row.headcount + row.held, row.min_headcount)
    )
    drawn = Text()
    for cell in range(cells):
        edge = "┃" if cell + 1 == enough and paid < enough else None
        if cell < paid:
            drawn.append("━", STATUS_STYLES[row.status])
        elif cell < taken:
            drawn.append(edge or "╍", "yellow")
        else:
            drawn.append(edge or "╌", "dim")
    return drawn


def price(row: Row) -> Text:
    """Returns the unit price as it is now, and the list price struck through."""
    style = "bold" if row.status in ("open", "succeeded") else "dim"
    return Text.assemble((shown(row.unit_price), style), " ", (shown(row.list_price), "dim strike"))


def outlook(row: Row) -> Text:
    """Returns what is missing for the minimum or for the next tier."""
    if row.status != "open":
        return Text("")
    lacking = row.min_headcount - row.headcount
    if lacking > 0:
        return Text(f"{lacking} more needed")
    if row.missing is None or row.next_price is None:
        return Text("lowest price", "green")
    return Text(f"{row.missing} more for {shown(row.next_price)}")


def time_left(left_s: float | None) -> Text:
    """Returns "0:07" or "5:59:58", red in the last seconds; nothing when there is no deadline to watch."""
    if left_s is None:
        return Text("")
    minutes, seconds = divmod(int(left_s), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return Text(text, "red" if left_s < LAST_SECONDS else "")


def ticker(events: tuple[Event, ...]) -> Group:
    """Returns the latest events, one a line."""
    return Group(*(event_line(event) for event in events))


def event_line(event: Event) -> Text:
    """Returns one event with its time, on one line however narrow the terminal is."""
    return Text.assemble(
        (f"{event.at_s:5.1f} s  ", "dim"),
        (event.text, _TONE_STYLES[event.tone]),
        no_wrap=True,
        overflow="ellipsis",
    )


def totals_line(totals: Totals) -> Text:
    """Returns the sums of the show so far."""
    captured = summed(totals.captured) or "nothing yet"
    given_back = summed(totals.given_back)
    return Text.assemble(
        (f"{totals.orders} orders", "bold"),
        f", {totals.paid} paid, {totals.refused} refused   groups: ",
        (f"{totals.groups_succeeded} succeeded", "green"),
        ", ",
        (f"{totals.groups_failed} failed", "red"),
        f"   captured {captured}",
        f", given back {given_back}" if given_back else "",
        no_wrap=True,
        overflow="ellipsis",
    )
