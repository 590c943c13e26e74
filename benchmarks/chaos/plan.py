"""What happens in a round: a pure function of its seeds, so that a round can be made to happen again.

    plan = plan_round([7, 8, 9])        deals and shoppers of three seeds, and the faults they meet together
    describe(plan)                      the same for people

The processes themselves are real and take their own turns, so that a replay makes the same calls at the same
moments under the same faults, and no two runs interleave alike.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from benchmarks.chaos.faults import KINDS, SHOPPING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOPPERS_PER_SEED: Final = 140
SHOPPING_MS: Final = 5_000
LATE_SHOPPERS: Final = 6
"""Of a seed, in a round whose workers are away for days."""
FAULTS_MIN: Final = 3
FAULTS_MAX: Final = 5
DRAWS_MAX: Final = 100
NODES: Final = 2
DEALS_MAX: Final = 3
PAUSE_MS_MAX: Final = 1_500
ADDED_STOCK: Final = 7
LIST_PRICE_MINOR: Final = 1_000

ChangeKind = Literal["stock", "pause"]
Way = Literal["best", "open", "link", "solo"]
Step = Literal[
    "repeat", "twins", "other_body", "order", "group", "deal", "listing", "cancel", "again", "stream"
]

_WAYS: Final[tuple[Way, ...]] = ("best", "best", "best", "best", "link", "link", "link", "open", "solo")
_STEPS: Final[tuple[Step, ...]] = (
    *("order", "order", "order", "group", "group", "group", "deal", "listing", "repeat", "repeat", "repeat"),
    *("twins", "other_body", "again"),
)
_STEPS_MIN: Final = 3
_STEPS_MAX: Final = 8
_PATIENCES_MS: Final = (150, 600, 2_000, 6_000, 6_000, 6_000)
_CANCEL_SHARE: Final = 0.12
_BOTH_SHARE: Final = 0.5
_STREAM_SHARE: Final = 0.02
_CHANGED_SHARE: Final = 0.3
_METHODS: Final = (
    *(("pm_ok",) * 14),
    *("pm_declined", "pm_slow", "pm_timeout", "pm_capture_timeout", "pm_void_timeout", "pm_capture_fails"),
)
_TROUBLED_METHODS: Final = (
    *("pm_ok", "pm_ok", "pm_declined", "pm_slow", "pm_slow", "pm_timeout", "pm_timeout"),
    *("pm_capture_timeout", "pm_capture_timeout", "pm_void_timeout", "pm_void_timeout", "pm_capture_fails"),
)


class DealTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A deal on sale; `ladder` is (headcount, unit price in minor units) from the first tier to the last."""

    lanes: int
    min_headcount: int
    max_headcount: int
    ladder: tuple[tuple[int, int], ...]
    ttl_s: int
    stock: int
    per_buyer_units: int


class Shopper(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who orders on deal `deal_no` at `at_ms` and then takes `steps`, one after the other.

    An answer that takes longer than `patience_ms` is not waited for.
    """

    number: int
    at_ms: int
    deal_no: int
    way: Way
    quantity: int
    payment_method: str
    patience_ms: int
    steps: tuple[Step, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the merchant does to deal `deal_no`: adds stock, or pauses it for `lasting_ms`."""

    at_ms: int
    deal_no: int
    kind: ChangeKind
    lasting_ms: int


class SeedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the people of one seed do; `late` shoppers come while the workers are away for days."""

    seed: int
    deals: tuple[DealTerms, ...]
    changes: tuple[Change, ...]
    shoppers: tuple[Shopper, ...]
    late: tuple[Shopper, ...]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, `at_ms` after the shopping began.

    `node` is whose process is meant, where it matters, or whose links are, unless those of `both` are.
    """

    kind: str
    at_ms: int
    lasting_ms: int
    node: int
    both: bool


class RoundPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Seeds that go shopping together, and the faults they meet."""

    seeds: tuple[SeedPlan, ...]
    faults: tuple[Fault, ...]

    @property
    def first_seed(self) -> int:
        """The seed that the faults follow from."""
        return self.seeds[0].seed


def plan_round(
    seeds: Sequence[int], *, shoppers: int = SHOPPERS_PER_SEED, kinds: Sequence[str] = ()
) -> RoundPlan:
    """Plans a round. The faults follow from the first seed; with `kinds` they are these and no others."""
    faults = tuple(_faults(random.Random(f"faults {seeds[0]}"), kinds))  # noqa: S311 - a plan, not a secret.
    moods = frozenset(fault.kind for fault in faults) & SHOPPING
    return RoundPlan(seeds=tuple(_plan_seed(seed, shoppers, moods) for seed in seeds), faults=faults)


def describe(plan: RoundPlan) -> Iterator[str]:
    """Yields lines that tell a round's plan."""
    seeds = [seed.seed for seed in plan.seeds]
    yield f"round of seeds {seeds[0]} to {seeds[-1]}"
    for fault in plan.faults:
        lasting = f" for {fault.lasting_ms} ms" if fault.lasting_ms else ""
        when = "at the end" if KINDS[fault.kind].late else f"at {fault.at_ms} ms"
        whose = "both nodes" if fault.both else f"node {fault.node}"
        yield f"  {when}{lasting}: {fault.kind}, {whose}: {KINDS[fault.kind].about}"
    for seed in plan.seeds:
        deals = ", ".join(
            f"{deal.stock} units in {deal.lanes} lanes, groups of {deal.min_headcount} to "
            f"{deal.max_headcount} for {deal.ttl_s} s"
            for deal in seed.deals
        )
        yield f"  seed {seed.seed}: {len(seed.shoppers)} shoppers; {deals}"


def _faults(draw: random.Random, kinds: Sequence[str]) -> Iterator[Fault]:
    for kind in kinds or _kinds(draw):
        known = KINDS[kind]
        yield Fault(
            kind=kind,
            at_ms=draw.randrange(200, SHOPPING_MS - 500),
            lasting_ms=draw.randint(known.low_ms, known.high_ms),
            node=draw.randrange(NODES),
            both=draw.random() < _BOTH_SHARE and not known.one_node,
        )


def _kinds(draw: random.Random) -> list[str]:
    """Draws different kinds, of which at most one is heavy."""
    wanted = draw.randint(FAULTS_MIN, FAULTS_MAX)
    chosen: list[str] = []
    for _ in range(DRAWS_MAX):
        (kind,) = draw.choices(list(KINDS), [known.weight for known in KINDS.values()])
        crowded = KINDS[kind].heavy and any(KINDS[other].heavy for other in chosen)
        if kind not in chosen and not crowded:
            chosen.append(kind)
        if len(chosen) == wanted:
            break
    return chosen


def _plan_seed(seed: int, shoppers: int, moods: frozenset[str]) -> SeedPlan:
    draw = random.Random(f"shopping {seed}")  # noqa: S311 - a plan, not a secret.
    deals = tuple(_terms(draw, shoppers, moods) for _ in range(draw.randint(1, DEALS_MAX)))
    # Drawn apart, so that shoppers do not depend on what the merchant does.
    merchant = random.Random(f"merchant {seed}")  # noqa: S311 - a plan, not a secret.
    methods = _TROUBLED_METHODS if "gateway" in moods else _METHODS
    moments = sorted(draw.randrange(SHOPPING_MS) for _ in range(shoppers))
    return SeedPlan(
        seed=seed,
        deals=deals,
        changes=tuple(_changes(merchant, len(deals))),
        shoppers=tuple(_shopper(draw, number, at_ms, deals, methods) for number, at_ms in enumerate(moments)),
        late=tuple(
            _shopper(draw, shoppers + number, 0, deals, ("pm_ok", "pm_slow", "pm_timeout"))
            for number in range(LATE_SHOPPERS)
        ),
    )


def _terms(draw: random.Random, shoppers: int, moods: frozenset[str]) -> DealTerms:
    capacity = draw.choice((2, 3, 4, 5, 8, 12, 30))
    lowest = draw.randint(1, min(4, capacity))
    heads = [lowest, *sorted(draw.sample(range(lowest + 1, capacity + 1), min(2, capacity - lowest)))]
    prices = [900, *sorted(draw.sample(range(300, 880), len(heads) - 1), reverse=True)]
    scarce = "transfers" in moods
    return DealTerms(
        lanes=draw.choice((2, 3, 4) if scarce else (1, 1, 1, 2, 3)),
        min_headcount=lowest,
        max_headcount=capacity,
        ladder=tuple(zip(heads, prices, strict=True)),
        ttl_s=draw.randint(2, 7),
        stock=max(4, round(shoppers * draw.choice((0.15, 0.25) if scarce else (0.2, 0.5, 3.0)))),
        per_buyer_units=draw.choice((1, 2, 3)),
    )


def _changes(draw: random.Random, deal_count: int) -> Iterator[Change]:
    for deal_no in range(deal_count):
        if draw.random() < _CHANGED_SHARE:
            yield Change(
                at_ms=draw.randrange(SHOPPING_MS),
                deal_no=deal_no,
                kind=draw.choice(("stock", "pause")),
                lasting_ms=draw.randrange(PAUSE_MS_MAX),
            )


def _shopper(
    draw: random.Random, number: int, at_ms: int, deals: Sequence[DealTerms], methods: Sequence[str]
) -> Shopper:
    deal_no = draw.randrange(len(deals))
    steps = draw.choices(_STEPS, k=draw.randint(_STEPS_MIN, _STEPS_MAX))
    if draw.random() < _CANCEL_SHARE:
        steps.insert(draw.randrange(len(steps) + 1), "cancel")
    if draw.random() < _STREAM_SHARE:
        steps.append("stream")
    return Shopper(
        number=number,
        at_ms=at_ms,
        deal_no=deal_no,
        way=draw.choice(_WAYS),
        quantity=draw.randint(1, deals[deal_no].per_buyer_units),
        payment_method=draw.choice(methods),
        patience_ms=draw.choice(_PATIENCES_MS),
        steps=tuple(steps),
    )
