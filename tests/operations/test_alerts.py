"""Every alert fires when it should, stays quiet when it should, and says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.operations.alert_cases import CASES, Series
from tests.operations.watching import METRIC, PROJECT, PROMETHEUS, needs_prometheus, promtool, rules

EVALUATION_S = 15
AT = "20m"
NAMES = [rule["alert"] for rule in rules()]


def unit_test(name: str, series: Series, *, fires: bool) -> dict[str, object]:
    """A unit test of promtool: whether the alert is firing after twenty minutes of a series."""
    firing = [{"labels": "{}", "value": 1}] if fires else []
    expectation = {
        "expr": f'max(ALERTS{{alertname="{name}", alertstate="firing"}})',
        "eval_time": AT,
        "exp_samples": firing,
    }
    return {
        "interval": f"{EVALUATION_S}s",
        "input_series": [{"series": metric, "values": values} for metric, values in series.items()],
        "promql_expr_test": [expectation],
    }


def test_every_alert_has_numbers_to_be_tried_on() -> None:
    assert sorted(NAMES) == sorted(CASES)


@needs_prometheus
@pytest.mark.parametrize("fires", [True, False], ids=["fires", "stays quiet"])
@pytest.mark.parametrize("name", NAMES)
def test_an_alert_fires_only_when_something_is_wrong(name: str, fires: bool, tmp_path: Path) -> None:
    case = CASES[name]
    trial = tmp_path / "trial.yml"
    # JSON is YAML, and needs no care for quotes.
    trial.write_text(
        json.dumps(
            {
                "rule_files": [str(PROMETHEUS / "alerts.yml")],
                "evaluation_interval": f"{EVALUATION_S}s",
                "tests": [unit_test(name, case.fires if fires else case.quiet, fires=fires)],
            }
        )
    )
    outcome = promtool("test", "rules", trial)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@needs_prometheus
def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    for kind, file in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
        outcome = promtool("check", kind, PROMETHEUS / file)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_an_alert_says_how_urgent_it_is_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (.+)$", (PROJECT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}


def test_every_metric_in_an_alert_has_a_case_that_is_written_with_it() -> None:
    for rule in rules():
        case = CASES[str(rule["alert"])]
        metrics = set(METRIC.findall(str(rule["expr"])))
        assert metrics <= {name for series in case.fires for name in METRIC.findall(series)}
