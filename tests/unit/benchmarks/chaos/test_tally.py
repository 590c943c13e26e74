"""What a run of the fault harness says of itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
from click.testing import CliRunner

from benchmarks.chaos.__main__ import main
from benchmarks.chaos.laws import Anomaly
from benchmarks.chaos.plan import plan_round
from benchmarks.chaos.round import RoundResult, SeedResult
from benchmarks.chaos.tally import (
    ANOMALIES_SHOWN_MAX,
    Tally,
    line_of,
    line_of_round,
    replay_command,
    shown,
    write_evidence,
)
from tests.unit.benchmarks.chaos.world import good

PLAN = plan_round([1, 2], shoppers=5, kinds=("kill_api", "fill_redis"))
ANOMALY = Anomaly("nothing_is_oversold", "deal_1 has 5 units and sold 6")


def result(*anomalies: Anomaly) -> RoundResult:
    history, books = good()
    seeds = [
        SeedResult(
            seed=seed,
            history=msgspec.structs.replace(history, seed=seed),
            books=books,
            anomalies=list(anomalies),
        )
        for seed in (1, 2)
    ]
    return RoundResult(seeds=seeds, skipped={"fill_redis": "no disk"}, took_s=3.0)


def test_operations_are_counted_by_verb_and_outcome_and_faults_by_kind() -> None:
    tally = Tally()

    tally.add(PLAN, result())
    told = "\n".join(tally.summary(10.0))

    assert (tally.seeds, tally.count, tally.orders, tally.groups) == (2, 24, 14, 4)
    assert tally.operations["place", "ok"] == 16
    assert tally.faults == {"kill_api": 1}
    assert "2 seeds, 24 operations in 10 s" in told
    assert "skipped here: fill_redis, no disk" in told
    assert "anomalies: 0" in told


def test_each_seed_has_a_line_that_says_whether_its_laws_were_kept() -> None:
    clean, broken = result().seeds[0], result(ANOMALY).seeds[1]

    assert line_of(PLAN, clean).startswith(
        "seed 1: 12 operations (12 ok, 0 refused, 0 unknown), 7 orders, 2 groups; kill_api"
    )
    assert line_of(PLAN, clean).endswith("clean")
    assert line_of(PLAN, broken).endswith("1 ANOMALIES")
    assert line_of_round(PLAN, result()) == "round of 2 seeds: 24 operations in 3 s"


def test_only_so_many_anomalies_are_printed() -> None:
    assert shown([ANOMALY]) == ["  nothing_is_oversold: deal_1 has 5 units and sold 6"]
    assert len(shown([ANOMALY] * 1_000)) == ANOMALIES_SHOWN_MAX + 1


def test_a_broken_round_leaves_its_plan_its_history_and_the_command_that_makes_it_again(
    tmp_path: Path,
) -> None:
    command = replay_command(PLAN, 5, ("kill_api", "fill_redis"))

    place = write_evidence(tmp_path, PLAN, result(ANOMALY), command)

    assert place == tmp_path / "seed-1"
    assert command in (place / "plan.txt").read_text()
    assert len((place / "history-2.jsonl").read_text().splitlines()) == 12
    assert (place / "anomalies-2.txt").read_text() == f"{ANOMALY}\n"
    assert msgspec.json.decode((place / "books-1.json").read_bytes())["deals"][0]["stock_units"] == 10


def test_the_command_it_names_plans_the_same_round() -> None:
    command = replay_command(PLAN, 5, ("kill_api", "fill_redis"))

    again = CliRunner().invoke(main, [*command.split()[2:], "--plan"])

    assert again.exit_code == 0
    assert "round of seeds 1 to 2" in again.output
    assert all(f"at {fault.at_ms} ms" in again.output for fault in PLAN.faults)
