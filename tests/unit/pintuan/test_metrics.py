"""Metrics add up over all processes that share a directory."""

import os
import subprocess
import sys
from pathlib import Path

COUNT_ONE = """
from pintuan import metrics
metrics.count_request(route="/v1/deals", method="GET", status=200, duration_s=0.003)
metrics.count_request(route="/v1/deals", method="BREW", status=405, duration_s=0.003)
print(metrics.render().decode())
"""


def count_in_a_process(directory: Path) -> str:
    return subprocess.run(  # noqa: S603  The interpreter runs a program written above.
        [sys.executable, "-c", COUNT_ONE],
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


def test_a_method_nobody_knows_makes_no_series_of_its_own(tmp_path: Path) -> None:
    text = count_in_a_process(tmp_path)

    assert "BREW" not in text
    assert 'method="other"' in text
