"""A round's plan: a pure function of its seeds."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chaos.__main__ import TOGETHER, rounds_of
from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.nemeses import NEMESES
from benchmarks.chaos.plan import FAULTS_MAX, FAULTS_MIN, NODES, SHOPPING_MS, describe, plan_round

SEEDS = 1_000
LATE = {name for name, kind in KINDS.items() if kind.late}


def rounds(count: int = SEEDS) -> list[range]:
    return [range(seeds[0], seeds[-1] + 1) for seeds in rounds_of(1, count, TOGETHER)]


def test_the_same_seeds_make_the_same_plan_and_others_another() -> None:
    plan = plan_round(range(17, 25))

    assert plan == plan_round(range(17, 25))
    assert plan != plan_round(range(25, 33))
    # What a seed's shoppers do is its own, whoever else is there, but for faults that are about shopping.
    calm = ("flush_redis",)
    assert plan_round([20], kinds=calm).seeds[0] == plan_round(range(17, 25), kinds=calm).seeds[3]


def test_a_plan_does_not_depend_on_the_process_that_makes_it() -> None:
    plan = plan_round([7], shoppers=3)

    assert [(fault.kind, fault.at_ms, fault.lasting_ms, fault.node) for fault in plan.faults] == [
        ("kill_postgres", 653, 284, 1),
        ("slow_postgres", 4350, 3765, 1),
        ("lock_postgres", 4381, 728, 0),
        ("stall_queue", 1541, 1101, 0),
    ]
    assert [shopper.at_ms for shopper in plan.seeds[0].shoppers] == [1095, 1734, 2700]


def test_every_kind_of_fault_is_planned_and_can_be_done() -> None:
    planned = Counter(fault.kind for seeds in rounds() for fault in plan_round(seeds, shoppers=1).faults)

    assert planned.keys() == KINDS.keys()
    assert NEMESES.keys() == KINDS.keys() - LATE


def test_a_round_has_a_few_different_faults_of_which_one_at_most_is_heavy() -> None:
    for seeds in rounds():
        faults = plan_round(seeds, shoppers=1).faults
        kinds = [fault.kind for fault in faults]
        assert FAULTS_MIN <= len(set(kinds)) == len(kinds) <= FAULTS_MAX
        assert sum(KINDS[kind].heavy for kind in kinds) <= 1
        for fault in faults:
            known = KINDS[fault.kind]
            assert known.low_ms <= fault.lasting_ms <= known.high_ms
            assert 0 < fault.at_ms < SHOPPING_MS
            assert 0 <= fault.node < NODES


def test_named_faults_take_the_place_of_drawn_ones() -> None:
    kinds = [fault.kind for fault in plan_round([3], kinds=("kill_api", "cut_redis")).faults]

    assert kinds == ["kill_api", "cut_redis"]


def test_deals_are_such_as_the_marketplace_takes() -> None:
    for deal in (
        deal for seeds in rounds(200) for seed in plan_round(seeds, shoppers=20).seeds for deal in seed.deals
    ):
        heads, prices = zip(*deal.ladder, strict=True)
        assert list(heads) == sorted(set(heads))
        assert list(prices) == sorted(set(prices), reverse=True)
        assert heads[0] <= deal.min_headcount <= deal.max_headcount
        assert heads[-1] <= deal.max_headcount
        assert deal.stock >= deal.lanes


def test_a_plan_is_told_with_every_fault_and_seed() -> None:
    plan = plan_round(range(1, 9))

    told = "\n".join(describe(plan))

    assert all(fault.kind in told for fault in plan.faults)
    assert all(f"seed {seed}:" in told for seed in range(1, 9))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(3, [range(5, 8)]), (5, [range(5, 9), range(9, 10)]), (8, [range(5, 9), range(9, 13)])],
)
def test_seeds_go_together_and_the_last_round_has_what_is_left(count: int, expected: list[range]) -> None:
    assert list(rounds_of(5, count, 4)) == expected
