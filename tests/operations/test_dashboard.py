"""The dashboard asks for what the product counts, of the source that is provisioned, and overlaps nothing."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from prometheus_client import REGISTRY

import pintuan.bootstrap  # noqa: F401 - importing it declares the metrics of the base and of all nouns.
from tests.operations.composition import services
from tests.operations.watching import DASHBOARD, GRAFANA, METRIC, panels, queries, read_yaml, rules

PROVISIONING = GRAFANA / "provisioning"


def counted() -> set[str]:
    """The name of every series that the metrics can have."""
    return {
        name
        for metric in REGISTRY.collect()
        for suffix in ("", "_total", "_bucket", "_sum", "_count")
        for name in [metric.name + suffix]
        if suffix in {"counter": ("_total",), "gauge": ("",)}.get(metric.type, ("_bucket", "_sum", "_count"))
    }


@pytest.mark.parametrize(
    ("title", "query"), [*queries(), *((rule["alert"], rule["expr"]) for rule in rules())]
)
def test_every_metric_asked_for_is_one_of_ours(title: str, query: str) -> None:
    unknown = set(METRIC.findall(query)) - counted()
    assert not unknown, f"{title}: {unknown}"


def test_every_metric_of_ours_is_shown() -> None:
    shown = {name for _, query in queries() for name in METRIC.findall(query)}
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("pintuan_")}
    assert [name for name in sorted(ours) if not any(query.startswith(name) for query in shown)] == []


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    [source] = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    for panel in panels():
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": source["type"], "uid": source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services()


def test_the_provisioned_folder_is_where_the_dashboard_is_mounted() -> None:
    [provider] = read_yaml(PROVISIONING / "dashboards" / "pintuan.yml")["providers"]
    grafana = services()["grafana"]
    mounts = dict(mount.split(":")[:2] for mount in grafana["volumes"])
    assert mounts["./ops/grafana/dashboards"] == provider["options"]["path"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == (
        f"{provider['options']['path']}/{DASHBOARD.name}"
    )


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    everything = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    for one, other in combinations((panel["gridPos"] for panel in everything), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
