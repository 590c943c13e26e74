"""Traces cost nothing where nobody asked for them, and one line where nobody takes them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.telemetry import tracing
from pintuan.base.telemetry.tracing.export import ToldOnce

NOTHING_IMPORTED = """
import sys
import pintuan.app, pintuan.running.supervisor.marketplace, workers.process
print([name for name in sys.modules if name.split(".")[0] == "opentelemetry"])
"""


class Scripted(SpanExporter):
    """Answers as it was told."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._results.pop(0)


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    program = [sys.executable, "-c", NOTHING_IMPORTED]
    ran = subprocess.run(program, check=True, capture_output=True, text=True, timeout=30)  # noqa: S603  Ours.
    assert ran.stdout == "[]\n"


def test_a_collector_that_is_away_is_told_once_and_so_is_its_return() -> None:
    failure, success = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    exporter = ToldOnce(Scripted(success, failure, failure, failure, success, success))
    with capture_logs() as logs:
        for _ in range(6):
            exporter.export([])

    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "traces are lost: the collector does not take them"),
        ("info", "the collector takes traces again"),
    ]


def test_an_endpoint_without_the_packages_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    tracing.require_sdk(Settings())

    with pytest.raises(SettingsError, match=r"^PINTUAN_OTLP_ENDPOINT: .*install pintuan\[otel\]"):
        tracing.require_sdk(Settings(otlp_endpoint="http://collector:4318"))
