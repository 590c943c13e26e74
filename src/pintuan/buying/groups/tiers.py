"""The prices a group can have, and how many people are missing for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pintuan.buying.groups.schemas import GroupTier, JoinableGroup
from pricing.ladder import Ladder

if TYPE_CHECKING:
    from pintuan.buying.groups.schemas import Group
    from pintuan.shop.deals.schemas import Deal


def tiers_of(group: Group, deal: Deal) -> list[GroupTier]:
    """Returns the steps of the ladder as this group can reach them, the highest price first.

    Tiers below the minimum count as one, because a group with fewer members buys nothing.
    """
    ladder = Ladder.of((tier.headcount, tier.unit_price.amount) for tier in deal.ladder)
    lowest = ladder.tier_at(group.min_headcount, group.min_headcount)
    return [
        GroupTier(
            headcount=(headcount := max(tier.headcount, group.min_headcount)),
            unit_price=tier.unit_price,
            missing=max(0, headcount - group.headcount),
        )
        for tier in deal.ladder
        if tier.headcount >= lowest.headcount
    ]


def with_tiers(group: Group, deal: Deal) -> JoinableGroup:
    """Returns the group with its prices."""
    return JoinableGroup(**msgspec.structs.asdict(group), tiers=tiers_of(group, deal))
