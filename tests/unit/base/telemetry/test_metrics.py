"""Metrics add up over all processes that share a directory."""

import os
import subprocess
import sys
from pathlib import Path

from pintuan.base.telemetry import metrics

SHOW_PAYMENTS = """
from pintuan.base.telemetry import metrics
from pintuan.money.payments.metrics import show_payments
show_payments({("capture", "due"): 3, ("refund", "unknown"): 1})
show_payments({("capture", "in_flight"): 2})
print(metrics.render().decode())
"""
COUNT_ONE = """
from pintuan.base.telemetry import metrics
metrics.count_requests(route="/v1/deals", method="GET", status=200, durations_s=[0.003])
metrics.count_requests(route="/v1/deals", method="BREW", status=405, durations_s=[0.003])
print(metrics.render().decode())
"""
OPENED = """
import pintuan.bootstrap
from pintuan.base.telemetry import metrics
print(metrics.render().decode())
"""
NEVER_HAPPENED = """
import asyncio
from unittest.mock import Mock
import pintuan.app
from pintuan import nouns
from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.base.stores.doorbells import Doorbells
from pintuan.base.telemetry import metrics
from workers.clock import Clock
from workers.process import answers_of, sweeps_of
from workers.rings import Rings

async def make() -> None:
    jobs = ProcessJobs()
    for noun in nouns.jobs():
        jobs.add(Mock(spec=noun, declared=noun.declared, second_tries=dict))
    Doorbells(Mock(), nouns.doorbells())
    Clock(sweeps_of(jobs))
    Rings(Mock(), answers_of(jobs))

asyncio.run(make())
print(metrics.render().decode())
"""


def count_in_a_process(directory: Path, program: str = COUNT_ONE) -> str:
    return subprocess.run(  # noqa: S603  The interpreter runs a program written above.
        [sys.executable, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout


def test_any_process_answers_for_all(tmp_path: Path) -> None:
    count_in_a_process(tmp_path)
    text = count_in_a_process(tmp_path)

    assert 'pintuan_http_requests_total{method="GET",route="/v1/deals",status="200"} 2.0' in text
    assert 'pintuan_http_request_duration_seconds_count{method="GET",route="/v1/deals"} 2.0' in text


def test_payments_that_moved_on_are_not_shown_where_they_were(tmp_path: Path) -> None:
    text = count_in_a_process(tmp_path, SHOW_PAYMENTS)

    shown = {line.partition("{")[2] for line in text.splitlines() if line.startswith("pintuan_payments{")}
    assert 'kind="capture",state="in_flight"} 2.0' in shown
    assert 'kind="capture",state="due"} 0.0' in shown
    assert 'kind="refund",state="unknown"} 0.0' in shown
    assert len(shown) == 16


def test_what_a_dead_process_showed_is_forgotten_and_what_it_counted_is_not(tmp_path: Path) -> None:
    count_in_a_process(tmp_path)
    count_in_a_process(tmp_path, SHOW_PAYMENTS)
    for pid in pids(tmp_path):
        metrics.forget_process(tmp_path, pid)
    text = count_in_a_process(tmp_path)

    assert 'kind="capture",state="in_flight"} 2.0' not in text
    assert 'pintuan_http_requests_total{method="GET",route="/v1/deals",status="200"} 2.0' in text


def test_a_dead_process_that_counted_nothing_leaves_nothing(tmp_path: Path) -> None:
    count_in_a_process(tmp_path)
    count_in_a_process(tmp_path, "import pintuan.base.telemetry.metrics")
    assert len(pids(tmp_path)) == 2

    for pid in pids(tmp_path):
        metrics.forget_process(tmp_path, pid)
    assert len(pids(tmp_path)) == 1


def pids(directory: Path) -> set[int]:
    """Of the processes that left a file."""
    return {int(file.stem.rpartition("_")[2]) for file in directory.glob("*.db")}


def test_a_method_nobody_knows_makes_no_series_of_its_own(tmp_path: Path) -> None:
    text = count_in_a_process(tmp_path)

    assert "BREW" not in text
    assert 'method="other"' in text


def test_what_never_happened_is_counted_as_zero(tmp_path: Path) -> None:
    text = count_in_a_process(tmp_path, NEVER_HAPPENED)

    for sample in (
        'pintuan_refusals_total{code="group_full"}',
        'pintuan_payment_operations_total{kind="void",outcome="unknown"}',
        'pintuan_payment_escalations_total{kind="capture"}',
        'pintuan_notifications_total{channel="sms",outcome="failed"}',
        'pintuan_sign_in_codes_total{outcome="wrong"}',
        'pintuan_event_streams_dropped_total{reason="slow"}',
        'pintuan_doorbell_failures_total{doorbell="payments"}',
        'pintuan_job_failures_total{job="lifecycle"}',
    ):
        assert f"{sample} 0.0" in text


def test_a_process_shows_the_metrics_of_nouns_that_it_has_no_use_for(tmp_path: Path) -> None:
    text = count_in_a_process(tmp_path, OPENED)

    assert 'pintuan_webhook_deliveries_total{outcome="gone"} 0.0' in text
    assert 'pintuan_event_streams_dropped_total{reason="slow"} 0.0' in text
