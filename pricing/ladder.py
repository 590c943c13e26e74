"""The price ladder of a deal: ordered steps of (headcount → unit price), each one cheaper than the last."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from pricing.currency import AMOUNT_MINOR_MAX

HEADCOUNT_MAX = 100_000
TIERS_MAX = 50

_HEADCOUNT = attrgetter("headcount")


class Tier(NamedTuple):
    """From `headcount` buyers on, a unit costs `unit_price_minor` (minor units of the deal's currency)."""

    headcount: int
    unit_price_minor: int


class NextTier(NamedTuple):
    """The next cheaper tier and how many buyers are `missing` until it is reached."""

    headcount: int
    unit_price_minor: int
    missing: int


class LadderProblem(NamedTuple):
    """One fault; `field` is the path in a deal's request, such as `ladder[1].unit_price`."""

    field: str
    message: str


class InvalidLadder(ValueError):
    """The ladder breaks its rules; `problems` lists every breach, in the order of the request."""

    def __init__(self, problems: tuple[LadderProblem, ...]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.message}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tiers with headcounts strictly rising and unit prices strictly falling.

    Every constructor checks that, so that a ladder read back from a store is as good as a parsed one. Raises
    `InvalidLadder`.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        problems = tuple(_step_problems(self.tiers))
        if problems:
            raise InvalidLadder(problems)

    @classmethod
    def of(cls, steps: Iterable[tuple[int, int]]) -> Ladder:
        """Builds the ladder of (headcount, unit price in minor units) pairs that were parsed once before."""
        return cls(tuple(Tier(headcount, unit_price_minor) for headcount, unit_price_minor in steps))

    @classmethod
    def parse(
        cls,
        steps: Sequence[tuple[int, int]],
        *,
        min_headcount: int,
        max_headcount: int,
        list_price_minor: int,
    ) -> Ladder:
        """Builds a merchant's ladder of (headcount, unit price in minor units) pairs.

        Raises `InvalidLadder` naming all problems at once: of the steps among themselves, with the deal's
        bounds of headcount, and with the variant's list price. Every step must be below that price.
        """
        tiers = tuple(Tier(headcount, unit_price_minor) for headcount, unit_price_minor in steps)
        problems = (
            *_step_problems(tiers),
            *_list_price_problems(tiers, list_price_minor),
            *_bound_problems(tiers, min_headcount, max_headcount),
        )
        if problems:
            raise InvalidLadder(problems)
        return cls(tiers)

    def unit_price_at(self, headcount: int, min_headcount: int) -> int:
        """Returns the unit price in minor units that a group of `headcount` shows.

        Below the minimum a group shows the price it would close at with the minimum reached. Raises
        `ValueError` when the ladder starts above the minimum, which `parse` refuses.
        """
        return self.tier_at(headcount, min_headcount).unit_price_minor

    def tier_at(self, headcount: int, min_headcount: int) -> Tier:
        """Returns the tier whose price that is; raises `ValueError` likewise."""
        counted = max(min_headcount, headcount)
        index = bisect_right(self.tiers, counted, key=_HEADCOUNT) - 1
        if index < 0:
            raise ValueError(f"the ladder has no tier at {counted} buyers")
        return self.tiers[index]

    def promise(self, headcount: int, min_headcount: int) -> int:
        """Returns the unit price in minor units promised to one more buyer of a group of `headcount`."""
        return self.unit_price_at(headcount + 1, min_headcount)

    def next_tier(self, headcount: int, min_headcount: int) -> NextTier | None:
        """Returns the first tier cheaper than the price shown now, or None on the last one."""
        index = bisect_right(self.tiers, max(min_headcount, headcount), key=_HEADCOUNT)
        if index == len(self.tiers):
            return None
        tier = self.tiers[index]
        return NextTier(tier.headcount, tier.unit_price_minor, tier.headcount - headcount)


def _step_problems(tiers: tuple[Tier, ...]) -> Iterator[LadderProblem]:
    if not 1 <= len(tiers) <= TIERS_MAX:
        yield LadderProblem("ladder", f"must have 1 to {TIERS_MAX} steps, not {len(tiers)}")
    for index, tier in enumerate(tiers[:TIERS_MAX]):
        before = tiers[index - 1] if index > 0 else None
        headcount, unit_price = f"ladder[{index}].headcount", f"ladder[{index}].unit_price"
        if not 1 <= tier.headcount <= HEADCOUNT_MAX:
            yield LadderProblem(headcount, f"must be from 1 to {HEADCOUNT_MAX}")
        elif before and tier.headcount <= before.headcount:
            yield LadderProblem(headcount, f"must be above the step before, {before.headcount}")
        if not 1 <= tier.unit_price_minor <= AMOUNT_MINOR_MAX:
            yield LadderProblem(unit_price, f"must be from 1 to {AMOUNT_MINOR_MAX} minor units")
        elif before and tier.unit_price_minor >= before.unit_price_minor:
            yield LadderProblem(unit_price, f"must be below the step before, {before.unit_price_minor}")


def _list_price_problems(tiers: tuple[Tier, ...], list_price_minor: int) -> Iterator[LadderProblem]:
    for index, tier in enumerate(tiers[:TIERS_MAX]):
        if tier.unit_price_minor >= list_price_minor:
            yield LadderProblem(
                f"ladder[{index}].unit_price", f"must be below the list price, {list_price_minor}"
            )


def _bound_problems(
    tiers: tuple[Tier, ...], min_headcount: int, max_headcount: int
) -> Iterator[LadderProblem]:
    if not 1 <= min_headcount <= HEADCOUNT_MAX:
        yield LadderProblem("min_headcount", f"must be from 1 to {HEADCOUNT_MAX}")
    if not 1 <= max_headcount <= HEADCOUNT_MAX:
        yield LadderProblem("max_headcount", f"must be from 1 to {HEADCOUNT_MAX}")
    elif max_headcount < min_headcount:
        yield LadderProblem("max_headcount", f"must not be below min_headcount, {min_headcount}")
    if not tiers:
        return
    if tiers[0].headcount > min_headcount:
        yield LadderProblem("ladder[0].headcount", f"must not be above min_headcount, {min_headcount}")
    if tiers[-1].headcount > max_headcount:
        yield LadderProblem(
            f"ladder[{len(tiers) - 1}].headcount", f"must not be above max_headcount, {max_headcount}"
        )
