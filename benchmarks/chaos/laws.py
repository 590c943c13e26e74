"""The laws a marketplace keeps whatever happens to its processes, checked on a history and what it led to.

    anomalies = check(history, books)       in no particular order; none where every law was kept

Every law is a function over plain data, so that a bad history made by hand shows whether it finds it.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.chaos.books import LIVE_ENDS
from benchmarks.chaos.seen import ORDER_OVER, ORDER_RANKS, group_reads, order_reads, stream_reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.chaos.books import Books, GroupKept, OrderKept
    from benchmarks.chaos.history import Call, History
    from benchmarks.chaos.seen import Read

DECLINED_METHOD: Final = "pm_declined"
FAILING_METHOD: Final = "pm_capture_fails"
SETTLING_WAIT_S: Final = 9.9
"""For how long a group that has closed waits for payments, as documented; a little less for rounding."""
SAME_MOMENT_S: Final = 1.0
ENDED: Final = frozenset({"succeeded", "failed"})


class Anomaly(msgspec.Struct, frozen=True):
    """A law that was broken, and by what."""

    law: str
    detail: str

    def __str__(self) -> str:
        return f"{self.law}: {self.detail}"


def check(history: History, books: Books, *, is_over: bool = True) -> list[Anomaly]:
    """Returns every breach of every law; where the round is not over, of those that hold at any time."""
    laws = LAWS if is_over else LAWS_AT_ANY_TIME
    return [Anomaly(law.__name__, detail) for law in laws for detail in law(history, books)]


def acknowledged_orders_are_kept(history: History, books: Books) -> Iterator[str]:
    """Every acknowledged order is in Postgres: the same buyer, deal, group, seat, quantity and promise."""
    kept = {order.id: order for order in books.orders}
    for call in _acknowledged(history):
        assert call.order is not None  # noqa: S101 - that is what makes it acknowledged.
        order = kept.get(call.order.id)
        if order is None:
            yield f"{call.order.id} of {call.buyer} was acknowledged at {call.ended_s} and is not there"
        elif order.place != call.order.place or order.buyer_id != call.buyer:
            yield f"{order.id} was acknowledged as {call.order.place} and is kept as {order.place}"
        elif (call.quantity, call.payment_method) != (order.quantity, order.payment_method):
            yield f"{order.id} was asked for as {call.quantity} by {call.payment_method}"


def one_key_one_order(history: History, _books: Books) -> Iterator[str]:
    """One buyer, call and key lead to one order; what was acknowledged is answered with it for ever."""
    places: dict[str, set[object]] = defaultdict(set)
    decided: dict[str, float] = {}
    for call in history.placings():
        if call.order is None or call.ended_s is None or call.body_no:
            continue
        places[call.wish].add(call.order.place)
        decided[call.wish] = min(call.ended_s, decided.get(call.wish, call.ended_s))
    for wish, found in places.items():
        if len(found) > 1:
            yield f"{wish} led to {sorted(map(str, found))}"
    for call in history.placings():
        known_s = decided.get(call.wish)
        if known_s is None or call.body_no or call.outcome != "refused":
            continue
        # A refusal under way beside the acknowledgement may come of an attempt that came before.
        if call.invoked_s >= known_s:
            yield f"{call.wish} was acknowledged at {known_s:.3f} s and later refused: {call.detail}"


def another_body_is_refused(history: History, _books: Books) -> Iterator[str]:
    """A key that was acknowledged refuses another body, with 422 and its own code."""
    for call in history.placings():
        if call.body_no and call.outcome != "unknown" and call.code != "idempotency_key_reused":
            yield f"{call.wish} with another body was answered {call.status} {call.code}"


def nobody_has_an_order_unasked(history: History, books: Books) -> Iterator[str]:
    """Every order in Postgres was acknowledged to its buyer, at the latest when they asked again."""
    told = {call.order.id for call in history.calls if call.order is not None}
    asked = {call.buyer for call in history.placings()}
    for order in books.orders:
        if order.buyer_id not in asked:
            yield f"{order.id} belongs to {order.buyer_id}, who asked for nothing"
        elif order.id not in told and not history.keys_forgotten:
            yield f"{order.id} of {order.buyer_id}, {order.status}, was never acknowledged"


def nothing_is_oversold(_history: History, books: Books) -> Iterator[str]:
    """Units stay within the stock, seats within their group, and buyers within their limit; lanes add up."""
    sold: Counter[str] = Counter()
    limits: Counter[tuple[str, str]] = Counter()
    seats: defaultdict[str, list[OrderKept]] = defaultdict(list)
    for order in books.orders:
        if order.status not in LIVE_ENDS:
            continue
        sold[order.deal_id] += order.quantity
        limits[order.deal_id, order.buyer_id] += order.quantity
        if order.group_id is not None:
            seats[order.group_id].append(order)
    for deal in books.deals:
        if sold[deal.id] > deal.stock_units:
            yield f"{deal.id} has {deal.stock_units} units and sold {sold[deal.id]}"
        if (deal.lanes_stock, deal.lanes_sold) != (deal.stock_units, sold[deal.id]):
            lanes = f"its lanes say {deal.lanes_stock} and {deal.lanes_sold}"
            yield f"{deal.id} has {deal.stock_units} and sold {sold[deal.id]}; {lanes}"
        for (deal_id, buyer), units in limits.items():
            if deal_id == deal.id and units > deal.per_buyer_units:
                yield f"{buyer} has {units} units of {deal.id}, whose limit is {deal.per_buyer_units}"
    for group in books.groups:
        members = seats[group.id]
        numbers = [member.seat for member in members]
        buyers = {member.buyer_id for member in members}
        if len(set(numbers)) != len(numbers) or len(buyers) != len(members) or len(members) > group.capacity:
            yield f"{group.id} of {group.capacity} seats has {numbers} of {len(buyers)} buyers"


def groups_end_once(history: History, books: Books) -> Iterator[str]:
    """Every group has ended, one way, with the headcount of its members and the price of its ladder."""
    members: Counter[str] = Counter(
        order.group_id
        for order in books.orders
        if order.group_id is not None
        and order.status in ("authorised", "captured", "released", "payment_failed")
    )
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for read in group_reads(history):
        if read.status in ENDED:
            ends[read.id].add(read.status)
    for group in books.groups:
        if group.status not in ENDED:
            yield f"{group.id} is still {group.status}"
            continue
        if ends[group.id] - {group.status}:
            yield f"{group.id} ended as {group.status} and was shown as {sorted(ends[group.id])}"
        if members[group.id] != group.final_headcount:
            yield f"{group.id} settled with {group.final_headcount} and has {members[group.id]} members"
        yield from _settled_wrong(group)


def _settled_wrong(group: GroupKept) -> Iterator[str]:
    headcount = group.final_headcount or 0
    price = _price_at(group, max(headcount, group.min_headcount))
    if group.final_unit_price_minor != price:
        yield f"{group.id} settled {headcount} at {group.final_unit_price_minor}, its ladder says {price}"
    if (group.status == "succeeded") != (headcount >= group.min_headcount):
        yield f"{group.id} {group.status} with {headcount} of {group.min_headcount}"
    if headcount < group.capacity and group.settled_s is not None and group.settled_s < group.deadline_s:
        early_s = group.deadline_s - group.settled_s
        yield f"{group.id} settled {early_s:.3f} s before its deadline with {headcount} of {group.capacity}"


def nobody_joins_after_the_deadline(_history: History, books: Books) -> Iterator[str]:
    """An order of a group was placed before the group's deadline."""
    deadlines = {group.id: group.deadline_s for group in books.groups}
    for order in books.orders:
        deadline_s = deadlines.get(order.group_id or "", math.inf)
        if order.created_s >= deadline_s:
            late_s = order.created_s - deadline_s
            yield f"{order.id} was placed {late_s:.3f} s after the deadline of {order.group_id}"


def charges_keep_promises(_history: History, books: Books) -> Iterator[str]:
    """A charge is the smaller of promise and settled price; a failed group charges nobody."""
    groups = {group.id: group for group in books.groups}
    for order in books.orders:
        charged = order.status in ("captured", "payment_failed")
        group = groups.get(order.group_id or "")
        if order.group_id is None:
            expected = order.promised_minor if charged else None
        elif group is None:
            yield f"{order.id} is in {order.group_id}, which is not there"
            continue
        else:
            settled = group.final_unit_price_minor or 0
            expected = min(order.promised_minor, settled) if charged else None
            if charged and group.status != "succeeded":
                yield f"{order.id} is {order.status} in {group.id}, which {group.status}"
        if charged and order.final_minor != expected:
            yield f"{order.id} was charged {order.final_minor} for one, should be {expected}"
        if not charged and order.final_minor is not None:
            yield f"{order.id} is {order.status} and was charged {order.final_minor} for one"


def orders_end_as_they_should(history: History, books: Books) -> Iterator[str]:
    """A payable order is captured, released with its failed group, or cancelled by its buyer."""
    groups = {group.id: group.status for group in books.groups}
    by_id = {group.id: group for group in books.groups}
    cancels = {call.about for call in history.calls if call.verb == "cancel" and call.outcome != "refused"}
    for order in books.orders:
        method = order.payment_method.partition(":")[0]
        if order.status == "cancelled":
            if order.id not in cancels:
                yield f"{order.id} is cancelled and nobody asked for it"
            continue
        group = groups.get(order.group_id or "", "none")
        ended = "released" if group == "failed" else "captured"
        expected = {
            DECLINED_METHOD: "declined",
            FAILING_METHOD: "payment_failed" if ended == "captured" else ended,
        }.get(method, ended)
        if order.status == "expired" and is_left_out(order, by_id.get(order.group_id or "")):
            continue
        if order.status == "declined" and method == FAILING_METHOD:
            continue  # A card whose capture failed takes no other seat for a while.
        if order.status != expected:
            late = ", placed while no worker was there" if order.buyer_id in history.late_buyers else ""
            yield f"{order.id} by {method} is {order.status} and should be {expected}, group {group}{late}"


def is_left_out(order: OrderKept, group: GroupKept | None) -> bool:
    """Whether a group that had closed waited in full for the order's payment and settled without it."""
    if group is None or group.closing_s is None or group.settled_s is None:
        return False
    waited_s = group.settled_s - group.closing_s
    return waited_s >= SETTLING_WAIT_S and abs(order.changed_s - group.settled_s) < SAME_MOMENT_S


def cancelled_orders_stay_cancelled(history: History, books: Books) -> Iterator[str]:
    """A cancel that was acknowledged holds."""
    kept = {order.id: order.status for order in books.orders}
    for call in history.calls:
        if call.verb == "cancel" and call.outcome == "ok" and kept.get(call.about) != "cancelled":
            yield f"{call.about} was cancelled at {call.ended_s} and is {kept.get(call.about)}"


def ledger_and_gateway_agree(_history: History, books: Books) -> Iterator[str]:
    """Ledger, operations and the gateway's books say the same of every order."""
    for order in books.orders:
        charge = (order.final_minor or 0) * order.quantity
        captured = charge if order.status == "captured" else 0
        written_off = charge if order.status == "payment_failed" else 0
        if (order.sold, order.captured, order.written_off) != (charge, captured, written_off):
            yield (
                f"{order.id}, {order.status}, charged {charge}: the ledger sold {order.sold}, "
                f"captured {order.captured}, wrote off {order.written_off}"
            )
        if order.gateway_captured != captured or (order.gateway_status == "captured") != (captured > 0):
            theirs = f"{order.gateway_status} {order.gateway_captured}"
            yield f"{order.id}, {order.status}: the gateway has {theirs}, not {captured}"
        left = order.status in ("released", "cancelled", "expired") and order.gateway_status == "authorised"
        if left and not order.escalated:
            yield f"{order.id} is {order.status} and its money is still reserved (void {order.void})"


def answers_are_of_the_contract(history: History, _books: Books) -> Iterator[str]:
    """No answer but those of the contract; what asks for patience says for how long."""
    for call in history.calls:
        if call.status >= 500 and call.status != 503:
            yield f"{call.verb} of {call.about} was answered {call.status}: {call.detail}"
        elif call.status in (429, 503) and not call.has_retry_after:
            yield f"{call.verb} of {call.about} was answered {call.status} without Retry-After"
        elif call.status in (400, 401, 403, 404, 405, 413, 415):
            yield f"{call.verb} of {call.about} was answered {call.status}: {call.detail}"
        elif call.detail and 0 < call.status < 400:
            yield f"{call.verb} of {call.about} was answered {call.status}, unreadably: {call.detail}"


def refusals_are_true(history: History, books: Books) -> Iterator[str]:
    """What is refused is refused for a reason that was there."""
    wanted: Counter[str] = Counter()
    wishes: defaultdict[str, set[str]] = defaultdict(set)
    stock = {deal.id: deal.stock_units for deal in books.deals}
    deal_of_group = {group.id: group.deal_id for group in books.groups}
    owners = {order.id: order.buyer_id for order in books.orders}
    quantities: dict[str, tuple[str, int]] = {}
    for call in history.placings():
        kind, name = call.about.split("/")[2:4]
        quantities[call.wish] = (name if kind == "deals" else deal_of_group.get(name, ""), call.quantity)
        wishes[call.buyer].add(call.wish)
    for deal_id, quantity in quantities.values():
        wanted[deal_id] += quantity
    for call in history.placings():
        deal_id = quantities[call.wish][0]
        match call.code:
            case "sold_out" | "deal_not_active" if deal_id in history.changed_deals:
                pass  # It may have been true at that moment.
            case "sold_out" if wanted[deal_id] <= stock.get(deal_id, 0):
                yield f"{call.wish} was told sold_out; {wanted[deal_id]} of {stock[deal_id]} were ever wanted"
            case "deal_not_active" if (call.ended_s or 0.0) < (history.deals_ended_s or math.inf):
                yield f"{call.wish} was told deal_not_active at {call.ended_s}, before the deal ended"
            case "already_joined" if owners.get(call.order_id or "") != call.buyer:
                yield f"{call.wish} was told already_joined with {call.order_id}, which is not theirs"
            case "already_joined" | "limit_reached" if len(wishes[call.buyer]) == 1:
                yield f"{call.wish} was told {call.code}, and is all they ever asked for"
            case _:
                pass


def reads_never_go_back(history: History, _books: Books) -> Iterator[str]:
    """Whoever reads after somebody else has read sees the same state or a later one."""
    for reads in (group_reads(history), order_reads(history)):
        yield from _went_back(reads)
    for stream in stream_reads(history):
        for before, after in itertools.pairwise(stream):
            if after.rank < before.rank:
                yield f"a stream of {before.id} showed {before.status} and then {after.status}"


def _went_back(reads: Iterator[Read]) -> Iterator[str]:
    by_id: defaultdict[str, list[Read]] = defaultdict(list)
    for read in reads:
        by_id[read.id].append(read)
    for same in by_id.values():
        furthest = None
        ended = iter(sorted(same, key=lambda read: read.ended_s))
        before = next(ended, None)
        for read in sorted(same, key=lambda read: read.invoked_s):
            while before is not None and before.ended_s < read.invoked_s:
                if furthest is None or before.rank > furthest.rank:
                    furthest = before
                before = next(ended, None)
            if furthest is not None and read.rank < furthest.rank:
                yield (
                    f"{read.id} was {furthest.status} at {furthest.ended_s:.3f} s "
                    f"and {read.status} when asked at {read.invoked_s:.3f} s"
                )


def reads_show_what_is_kept(history: History, books: Books) -> Iterator[str]:
    """An order that is shown is the one that is kept, and so are its end and its charge."""
    kept = {order.id: order for order in books.orders}
    for call in history.calls:
        if call.order is None or (order := kept.get(call.order.id)) is None:
            continue
        if call.order.place != order.place:
            yield f"{order.id} was shown as {call.order.place} and is kept as {order.place}"
        if ORDER_RANKS[call.order.status] == ORDER_OVER and call.order.status != order.status:
            yield f"{order.id} was shown {call.order.status} at {call.ended_s} and is {order.status}"
        if call.order.charged_minor not in (None, order.final_minor):
            yield f"{order.id} was shown charged {call.order.charged_minor}, and is {order.final_minor}"


def _acknowledged(history: History) -> Iterator[Call]:
    return (call for call in history.placings() if call.order is not None)


def _price_at(group: GroupKept, headcount: int) -> int:
    """The tier at a headcount, by rules of its own: the application's ladder is what is being checked."""
    tiers = zip(group.tier_headcounts, group.tier_prices_minor, strict=True)
    return [price for least, price in tiers if least <= headcount][-1]


Law = Callable[["History", "Books"], "Iterator[str]"]

LAWS_AT_ANY_TIME: Final[tuple[Law, ...]] = (
    acknowledged_orders_are_kept,
    one_key_one_order,
    another_body_is_refused,
    nothing_is_oversold,
    nobody_joins_after_the_deadline,
    cancelled_orders_stay_cancelled,
    answers_are_of_the_contract,
    reads_never_go_back,
)
LAWS_AT_THE_END: Final[tuple[Law, ...]] = (
    nobody_has_an_order_unasked,
    groups_end_once,
    charges_keep_promises,
    orders_end_as_they_should,
    ledger_and_gateway_agree,
    refusals_are_true,
    reads_show_what_is_kept,
)
"""What holds once all has ended and been asked again."""

LAWS: Final = (*LAWS_AT_ANY_TIME, *LAWS_AT_THE_END)
