"""The answer right after a placement: the order this very call made, without reading it back.

The group is shown as it stood when the batch was committed, with every seat that the lane had given out by
then. Seats whose payment is not authorised yet are `held`. All orders of a batch share one such group.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group, GroupTier, Order, Payment
from pricing.ladder import Ladder

if TYPE_CHECKING:
    from datetime import datetime

    from groups.placement import Placed, PlacedGroup

LADDERS_CACHED_MAX: Final = 1_000
_DUE: Final = Payment("due")


def order_of_placed(order_id: str, placed: Placed, group: Group | None) -> Order:
    """Returns the order; `group` is what `group_of_placed` made of its group."""
    return Order(
        id=order_id,
        deal_id=placed.deal_id,
        # Read with the order from then on: a join asks Postgres for nothing but what it writes.
        offer=None,
        group_id=None if placed.group is None else placed.group.id,
        seat=placed.seat,
        status="held",
        quantity=placed.quantity,
        promised_price=Money(placed.promised_unit_minor, placed.currency),
        charged_unit_price=None,
        charged_total=None,
        refunded_total=None,
        refunds=[],
        payment=_DUE,
        group=group,
        created_at=placed.created_at,
    )


def group_of_placed(group: PlacedGroup, *, server_time: datetime, share_base: str) -> Group:
    """Returns the group as its newest members see it; `share_base` is the URL before the share code."""
    ladder = _ladder(group.tier_headcounts, group.tier_prices_minor)
    next_tier = ladder.next_tier(group.headcount, group.min_headcount)
    currency = group.currency
    return Group(
        id=group.id,
        deal_id=group.deal_id,
        share_code=group.share_code,
        share_url=share_base + group.share_code,
        status="open",
        headcount=group.headcount,
        # A seat that was freed in Postgres may still be taken in the lane, but never the other way round.
        held=max(1, group.taken - group.headcount),
        max_headcount=group.capacity,
        min_headcount=group.min_headcount,
        unit_price=Money(ladder.unit_price_at(group.headcount, group.min_headcount), currency),
        next_tier=None
        if next_tier is None
        else GroupTier(next_tier.headcount, Money(next_tier.unit_price_minor, currency), next_tier.missing),
        deadline=group.deadline,
        opened_at=group.opened_at,
        settled_at=None,
        final_unit_price=None,
        server_time=server_time,
        my_order=None,
    )


@lru_cache(maxsize=LADDERS_CACHED_MAX)
def _ladder(headcounts: tuple[int, ...], prices_minor: tuple[int, ...]) -> Ladder:
    return Ladder.of(zip(headcounts, prices_minor, strict=True))
