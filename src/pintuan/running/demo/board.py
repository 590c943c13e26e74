"""The state of the show so far, and the snapshot of it that a view draws.

Time left is counted from the server's own `server_time` and `deadline`, and on from there by monotonic time:
this process' clock decides nothing, not even on a screen.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group, GroupStatus, Order
from pintuan.running.demo.plan import Scene, Step
from pintuan.shop.deals.schemas import Deal

TICKER_LINES_MAX: Final = 40

Tone: TypeAlias = Literal["plain", "good", "bad", "quiet"]
RowStatus: TypeAlias = GroupStatus | Literal["waiting", "solo"]


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the ticker; `at_s` is counted from the start of the show."""

    at_s: float
    text: str
    tone: Tone


@dataclass(slots=True)
class Placed:
    """An order somebody placed, as it was last seen, and the step that placed it."""

    step: Step
    order: Order


@dataclass(slots=True)
class Record:
    """A scene's course: its group as last seen, its orders by actor, refusals and faults."""

    scene: Scene
    deal: Deal
    group: Group | None = None
    seen_at_s: float = 0.0
    placed: dict[str, Placed] = field(default_factory=dict)
    refused: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One group as it is drawn; `left_s` is the time until its deadline, None when that does not matter."""

    title: str
    list_price: Money
    unit_price: Money
    headcount: int
    held: int
    min_headcount: int
    max_headcount: int
    missing: int | None = None
    next_price: Money | None = None
    left_s: float | None = None
    status: RowStatus = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the whole show so far."""

    orders: int
    paid: int
    refused: int
    groups_succeeded: int
    groups_failed: int
    captured: tuple[Money, ...]
    given_back: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a view needs to draw one frame; events are oldest first."""

    elapsed_s: float
    rows: tuple[Row, ...]
    events: tuple[Event, ...]
    totals: Totals


class Board:
    """Collects what the players see; `on_event` hears each line of the ticker at once."""

    def __init__(
        self, on_event: Callable[[Event], None], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.records: list[Record] = []
        self._on_event = on_event
        self._clock_s = clock_s
        self._began_at_s = clock_s()
        self._events: deque[Event] = deque(maxlen=TICKER_LINES_MAX)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the show began."""
        return self._clock_s() - self._began_at_s

    def add(self, scene: Scene, deal: Deal) -> Record:
        """Opens the record of a scene."""
        record = Record(scene, deal)
        self.records.append(record)
        return record

    def tell(self, text: str, tone: Tone = "plain") -> None:
        """Adds a line to the ticker."""
        event = Event(self.elapsed_s, text, tone)
        self._events.append(event)
        self._on_event(event)

    def saw(self, record: Record, group: Group) -> None:
        """Remembers a group as it is now, unless a later answer of the server is known already."""
        if record.group is None or group.server_time >= record.group.server_time:
            record.group, record.seen_at_s = group, self._clock_s()

    def snapshot(self) -> Snapshot:
        """Returns everything as it stands."""
        now_s = self._clock_s()
        return Snapshot(
            elapsed_s=now_s - self._began_at_s,
            rows=tuple(_row_of(record, now_s) for record in self.records if record.scene.ends_as != "solo"),
            events=tuple(self._events),
            totals=totals_of(self.records),
        )


def totals_of(records: Sequence[Record]) -> Totals:
    """Sums up the records; amounts come in alphabetical order of their currencies, those of 0 left out."""
    placed = [placed for record in records for placed in record.placed.values()]
    orders = [one.order for one in placed]
    ends = Counter(record.group.status for record in records if record.group is not None)
    return Totals(
        orders=len(placed),
        paid=sum(one.order.charged_total is not None for one in placed),
        refused=sum(record.refused for record in records),
        groups_succeeded=ends["succeeded"],
        groups_failed=ends["failed"],
        captured=_sums_of(order.charged_total for order in orders),
        given_back=_sums_of(order.refunded_total for order in orders),
    )


def _sums_of(amounts: Iterable[Money | None]) -> tuple[Money, ...]:
    sums: Counter[str] = Counter()
    for money in amounts:
        if money is not None:
            sums[money.currency] += money.amount
    return tuple(Money(amount, currency) for currency, amount in sorted(sums.items()) if amount)


def _row_of(record: Record, now_s: float) -> Row:
    deal, group = record.deal, record.group
    if group is None:
        return Row(
            title=deal.title,
            list_price=deal.list_price,
            unit_price=deal.ladder[0].unit_price,
            headcount=0,
            held=0,
            min_headcount=deal.min_headcount,
            max_headcount=deal.max_headcount,
        )
    left_s = (group.deadline - group.server_time).total_seconds() - (now_s - record.seen_at_s)
    return Row(
        title=deal.title,
        list_price=deal.list_price,
        unit_price=group.final_unit_price or group.unit_price,
        headcount=group.headcount,
        held=group.held,
        min_headcount=group.min_headcount,
        max_headcount=group.max_headcount,
        missing=group.next_tier.missing if group.next_tier else None,
        next_price=group.next_tier.unit_price if group.next_tier else None,
        left_s=max(0.0, left_s) if group.status == "open" else None,
        status=group.status,
    )
