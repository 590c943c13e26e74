"""What the answers of a history showed of groups and orders, and how far each was on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.chaos.history import History

GROUP_RANKS: Final = {"open": 0, "closing": 1, "settling": 2, "succeeded": 3, "failed": 3}
ORDER_RANKS: Final = {
    "held": 0,
    "authorised": 1,
    "captured": 2,
    "declined": 2,
    "expired": 2,
    "cancelled": 2,
    "released": 2,
    "payment_failed": 2,
}
ORDER_OVER: Final = 2
NEVER_S: Final = -1.0


class Read(NamedTuple):
    """One look at a group or an order. `invoked_s` is NEVER_S where nobody knows when it was looked up."""

    id: str
    status: str
    rank: int
    invoked_s: float
    ended_s: float


def group_reads(history: History) -> Iterator[Read]:
    """Yields every group of every answer."""
    for call in history.calls:
        if call.ended_s is None:
            continue
        # A stream shows what was read some time before.
        invoked_s = NEVER_S if call.verb == "event" else call.invoked_s
        for group in call.groups:
            yield Read(group.id, group.status, GROUP_RANKS[group.status], invoked_s, call.ended_s)


def order_reads(history: History) -> Iterator[Read]:
    """Yields every order of every answer."""
    for call in history.calls:
        if call.order is not None and call.ended_s is not None:
            order = call.order
            yield Read(order.id, order.status, ORDER_RANKS[order.status], call.invoked_s, call.ended_s)


def stream_reads(history: History) -> Iterator[list[Read]]:
    """Yields what each stream showed, in its order."""
    streams: dict[tuple[str, str], list[Read]] = {}
    for call in history.calls:
        if call.verb == "event" and call.ended_s is not None:
            for group in call.groups:
                read = Read(group.id, group.status, GROUP_RANKS[group.status], call.invoked_s, call.ended_s)
                streams.setdefault((call.buyer, call.about), []).append(read)
    yield from streams.values()
