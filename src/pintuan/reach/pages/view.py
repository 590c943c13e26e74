"""The page's statements about a group, decided from the group and its deal alone: no I/O, no clock, no
language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pintuan.base.wire.money import Money
from pintuan.buying.groups.shown import CHARGED
from pintuan.buying.groups.tiers import tiers_of
from pintuan.shop.deals.offered import as_offered
from pricing.ladder import Ladder

if TYPE_CHECKING:
    from pintuan.buying.groups.schemas import Group, GroupTier, Order
    from pintuan.shop.deals.schemas import Deal
    from pintuan.shop.offers.schemas import Offer

Phase: TypeAlias = Literal[
    "open", "filling", "full", "paused", "sold_out", "closing", "settling", "succeeded", "failed"
]
# With so few places left the page says that the group is about to fill.
FILLING_SEATS_MAX: Final = 2
JOINABLE: Final[frozenset[Phase]] = frozenset({"open", "filling"})
# A group in one of these takes nobody, and the page shows where else one can join.
CLOSED: Final[frozenset[Phase]] = frozenset({"full", "closing", "settling", "succeeded", "failed"})
LIVE_ORDERS: Final = CHARGED | {"held", "authorised"}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the ladder as this group can reach it; `missing` people until its price holds for all."""

    headcount: int
    unit_price: Money
    missing: int
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """Everything the page tells of a group; `promise` is what the next to join would be promised.

    `deal` and `offer` are what it sells now; `goods` is the deal as the viewer ordered it, or else as it is.
    """

    group: Group
    deal: Deal
    offer: Offer
    goods: Deal
    phase: Phase
    steps: tuple[Step, ...]
    promise: Money
    seats_left: int
    missing_to_succeed: int
    left_s: float
    picture: str | None

    @property
    def is_joinable(self) -> bool:
        """Says whether somebody without a seat here could take one now."""
        return self.phase in JOINABLE

    @property
    def is_short(self) -> bool:
        """Says whether one can join, and the group fails unless somebody does."""
        return self.is_joinable and self.missing_to_succeed > 0

    @property
    def is_ended(self) -> bool:
        """Says whether the group succeeded or failed for good."""
        return self.phase in {"succeeded", "failed"}

    @property
    def can_open_another(self) -> bool:
        """Says whether to offer a new group: this one takes nobody, the deal sells, the viewer is not
        waiting.
        """
        waits = self.my_live_order is not None and not self.is_ended
        sells = self.deal.status == "active" and self.deal.sold < self.deal.stock
        return self.phase in CLOSED and sells and not waits

    @property
    def my_live_order(self) -> Order | None:
        """The viewer's order, while it has a seat."""
        return _live_order_of(self.group)

    @property
    def offered(self) -> str:
        """The name in a form of the offer on show."""
        return self.offer.since.isoformat() if self.offer.since is not None else ""

    @property
    def is_not_what_i_ordered(self) -> bool:
        """Says whether the deal's offer has changed since the viewer ordered."""
        order = self.my_live_order
        return order is not None and order.offer is not None and order.offer.since != self.offer.since

    @property
    def is_not_what_others_ordered(self) -> bool:
        """Says whether a new member gets another offer than the first members did."""
        since = self.offer.since
        return (
            self.is_joinable and not self.my_live_order and since is not None and since > self.group.opened_at
        )


def view_of(group: Group, deal: Deal, offer: Offer) -> GroupView:
    """Returns what the page says of a group of this deal, which makes this offer now."""
    ladder = Ladder.of((tier.headcount, tier.unit_price.amount) for tier in deal.ladder)
    currency = group.unit_price.currency
    order = _live_order_of(group)
    goods = deal if order is None or order.offer is None else as_offered(deal, order.offer)
    pictures = [*goods.variant.images, *goods.product.images]
    return GroupView(
        group=group,
        deal=deal,
        offer=offer,
        goods=goods,
        phase=_phase_of(group, deal),
        steps=tuple(_step_of(tier, group) for tier in tiers_of(group, deal)),
        promise=Money(ladder.promise(group.headcount, group.min_headcount), currency),
        seats_left=max(0, group.max_headcount - group.headcount - group.held),
        missing_to_succeed=max(0, group.min_headcount - group.headcount),
        left_s=max(0.0, (group.deadline - group.server_time).total_seconds()),
        picture=pictures[0] if pictures else None,
    )


def _live_order_of(group: Group) -> Order | None:
    order = group.my_order
    return order if order is not None and order.status in LIVE_ORDERS else None


def _phase_of(group: Group, deal: Deal) -> Phase:
    if group.status != "open":
        return group.status
    if group.deadline <= group.server_time:
        # Nobody can join any more, though no worker has said so yet.
        return "closing"
    seats_left = group.max_headcount - group.headcount - group.held
    if seats_left <= 0:
        return "full"
    if deal.status == "paused":
        return "paused"
    if deal.sold >= deal.stock:
        return "sold_out"
    return "filling" if seats_left <= FILLING_SEATS_MAX else "open"


def _step_of(tier: GroupTier, group: Group) -> Step:
    is_current = tier.unit_price == group.unit_price
    return Step(tier.headcount, tier.unit_price, tier.missing, is_current)
