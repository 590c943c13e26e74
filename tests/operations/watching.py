"""What Prometheus and Grafana are given, read as they read it; and the tools that come with Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
PROMETHEUS = PROJECT / "ops" / "prometheus"
GRAFANA = PROJECT / "ops" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "pintuan.json"
METRIC = re.compile(r"\bpintuan_[a-z_]+")
TOOL_TIMEOUT_S = 60

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="Prometheus is not installed; Debian has it as the package prometheus",
)


def read_yaml(path: Path) -> Any:
    """The one document in a file."""
    return yaml.safe_load(path.read_text())


def rules() -> list[dict[str, Any]]:
    """Every alerting rule."""
    return [rule for group in read_yaml(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Every panel of the dashboard but the headings."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard, with its panel's title."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs promtool to its end, whatever it finds."""
    return subprocess.run(  # noqa: S603 - the arguments are the tests' own.
        ["promtool", *map(str, arguments)],  # noqa: S607 - whichever promtool the machine has.
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_TIMEOUT_S,
    )
