"""What was asked and what was answered: the history of a seed, which the laws are checked against.

Every call is noted before it is sent, and again with its answer. A call without an answer, or with one that
decides nothing, is *unknown*: it may have had its effect, or have it later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Outcome = Literal["ok", "refused", "unknown"]
Verb = Literal["place", "cancel", "order", "group", "deal", "listing", "event"]

UNDECIDED_STATUSES: Final = frozenset({0, 429, 503})
"""What leaves a call open: no answer, and the two that ask for another try."""
UNDECIDED_CODE: Final = "idempotency_in_flight"
_OK_STATUS_MAX: Final = 399


class OrderSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An order as an answer showed it; `promised_minor` and `charged_minor` are prices of one unit."""

    id: str
    deal_id: str
    group_id: str | None
    seat: int | None
    status: str
    quantity: int
    promised_minor: int
    charged_minor: int | None

    @property
    def place(self) -> tuple[str, str, str | None, int | None, int, int]:
        """What never changes about an order."""
        return self.id, self.deal_id, self.group_id, self.seat, self.quantity, self.promised_minor


class GroupSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A group as an answer showed it."""

    id: str
    status: str
    headcount: int
    held: int
    max_headcount: int
    deadline: str


class Call(msgspec.Struct, kw_only=True):
    """One call; moments are seconds since the round began. `status` is 0 where no answer came.

    `wish` names a buyer, a path and a key: calls that share it must lead to the same order. `body_no` tells
    the bodies that were sent under one key apart. `about` names the deal, group or order that was asked for.
    """

    verb: Verb
    buyer: str
    about: str
    invoked_s: float
    wish: str = ""
    body_no: int = 0
    quantity: int = 0
    payment_method: str = ""
    ended_s: float | None = None
    status: int = 0
    code: str | None = None
    order_id: str | None = None
    has_retry_after: bool = False
    order: OrderSeen | None = None
    groups: tuple[GroupSeen, ...] = ()
    detail: str = ""

    @property
    def outcome(self) -> Outcome:
        """What is known about the call's effect."""
        if self.status in UNDECIDED_STATUSES or self.code == UNDECIDED_CODE:
            return "unknown"
        return "ok" if self.status <= _OK_STATUS_MAX else "refused"


class History(msgspec.Struct, kw_only=True):
    """All calls of a seed in the order of their sending.

    `late_buyers` placed their orders while no worker was there. `deals_ended_s` is when the merchant began to
    end the deals, and `changed_deals` are those that were paused or got more stock before. With
    `keys_forgotten` more time has passed since than keys are kept.
    """

    seed: int
    calls: list[Call] = []
    late_buyers: set[str] = set()
    deals_ended_s: float | None = None
    changed_deals: set[str] = set()
    keys_forgotten: bool = False

    def placings(self) -> Iterator[Call]:
        """The calls that place an order."""
        return (call for call in self.calls if call.verb == "place")

    def undecided(self) -> dict[str, Call]:
        """By wish, a call of each wish of which no answer ever decided anything."""
        open_: dict[str, Call] = {}
        decided: set[str] = set()
        for call in self.calls:
            if not call.wish or call.body_no:
                continue
            if call.outcome == "unknown":
                open_[call.wish] = call
            else:
                decided.add(call.wish)
        return {wish: call for wish, call in open_.items() if wish not in decided}
