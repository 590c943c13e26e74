"""Latencies, kept in histograms."""

from __future__ import annotations

import pytest

from benchmarks.histogram import LATENCY_US_MAX, Latencies, sum_of


def latencies(*values_ms: float) -> Latencies:
    kept = Latencies()
    for value_ms in values_ms:
        kept.record(value_ms / 1000)
    return kept


def test_percentiles_are_exact_to_three_digits() -> None:
    kept = latencies(*(float(value) for value in range(1, 1001)))

    assert kept.at_ms(50) == pytest.approx(500, rel=1e-3)
    assert kept.at_ms(99) == pytest.approx(990, rel=1e-3)
    assert kept.at_ms(100) == pytest.approx(1000, rel=1e-3)


def test_latencies_of_several_phases_add_up_when_they_were_encoded() -> None:
    total = sum_of([latencies(1, 1, 1).encoded(), latencies(100).encoded()])

    assert total.count == 4
    assert total.at_ms(75) == pytest.approx(1, rel=1e-3)
    assert total.at_ms(100) == pytest.approx(100, rel=1e-3)


def test_what_takes_longer_than_the_longest_latency_counts_as_that() -> None:
    assert latencies(10 * LATENCY_US_MAX).at_ms(100) == pytest.approx(LATENCY_US_MAX / 1000, rel=1e-3)


def test_a_summary_of_no_calls_has_only_zeros() -> None:
    summary = Latencies().summary("a", "A", arrivals="open", rate_per_s=1.0)

    assert (summary.count, summary.p50_ms, summary.max_ms) == (0, 0, 0)


def test_the_curve_of_a_summary_rises_up_to_the_slowest_call() -> None:
    summary = latencies(1, 2, 3, 50).summary("a", "A", arrivals="closed", rate_per_s=1.0)

    percentiles, values_ms = zip(*summary.points, strict=True)
    assert list(percentiles) == sorted(set(percentiles))
    assert list(values_ms) == sorted(values_ms)
    assert percentiles[-1] == 100
    assert values_ms[-1] == summary.max_ms == pytest.approx(50, rel=1e-3)
