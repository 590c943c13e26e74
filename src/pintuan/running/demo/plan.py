"""The parts of the show's script: deals, the actors' steps in their order, and how it must end.

A scene is one group of one deal, or one purchase without a group. `pintuan.running.demo.scenes` has them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pintuan.buying.groups.schemas import OrderStatus, RefundStatus
from pricing.charge import settle
from pricing.ladder import Ladder

Verb: TypeAlias = Literal["open", "link", "auto", "buy", "cancel"]
Ending: TypeAlias = Literal["succeeded", "failed", "open", "solo"]

# A group that is to run out lives far longer than its steps take, so that a busy machine changes no ending.
RUNS_OUT_S: Final = 12
FILLS_S: Final = 45
STAYS_OPEN_S: Final = 6 * 3600

_COUNTED: Final[frozenset[OrderStatus]] = frozenset(
    {"authorised", "captured", "partially_refunded", "refunded", "released", "payment_failed"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A deal on the item `sku` of the feed; `ladder` is (headcount, unit price in its minor units) steps."""

    sku: str
    title: str
    ladder: tuple[tuple[int, int], ...]
    min_headcount: int
    max_headcount: int
    group_ttl_s: int
    stock: int = 50
    per_buyer_units: int = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One actor's step, and how it must come out.

    `through` is whose link a friend follows. `refused` is the problem code of a step that must fail;
    otherwise `ends_as` is what becomes of the order. A step that does not wait lets the next one begin while
    its payment is still under way. `twice` sends the same request again under the same key.
    """

    verb: Verb
    actor: str
    through: str | None = None
    method: str = "pm_ok"
    quantity: int = 1
    refused: str | None = None
    ends_as: OrderStatus = "captured"
    waits: bool = True
    twice: bool = False
    pause_s: float = 0.0

    @property
    def places(self) -> bool:
        """Says whether the step makes an order."""
        return self.verb != "cancel" and self.refused is None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A merchant's refund to an actor after the group's end; without an amount, all that is left."""

    actor: str
    amount_minor: int | None = None
    ends_as: RefundStatus = "refunded"
    reason: str = "arrived damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One group from its first member to its end; `starts_s` is when it begins, after the show did."""

    key: str
    offer: Offer
    steps: tuple[Step, ...]
    ends_as: Ending
    given_back: tuple[GivenBack, ...] = ()
    starts_s: float = 0.0

    @property
    def headcount(self) -> int:
        """How many members the group counts in the end."""
        return sum(step.places and step.ends_as in _COUNTED for step in self.steps)

    @property
    def settled_unit_minor(self) -> int | None:
        """The unit price the group must reach, in minor units; None unless it succeeds."""
        if self.ends_as != "succeeded":
            return None
        settled = settle(Ladder.of(self.offer.ladder), self.offer.min_headcount, self.headcount)
        return None if settled is None else settled.unit_price_minor
