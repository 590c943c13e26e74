"""Metrics in the Prometheus text format, right for one process and for several.

With `PROMETHEUS_MULTIPROC_DIR` set before the first import of this module, every process keeps its values in
files there and any of them answers for all. The supervisor sets it and empties the directory at its start.

Every metric of the product is declared here, so that this file is the list an operator reads.
"""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
UNMATCHED_ROUTE: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATION_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS: Final = Counter(
    "pintuan_http_requests", "Requests answered.", labelnames=("route", "method", "status")
)
HTTP_DURATION: Final = Histogram(
    "pintuan_http_request_duration_seconds",
    "Time from a request's arrival to the end of its answer.",
    labelnames=("route", "method"),
    buckets=_DURATION_BUCKETS_S,
)

PLACEMENTS: Final = Counter("pintuan_placements", "Orders made durable by a join, an opening or a purchase.")
PLACEMENT_BATCH_SIZE: Final = Histogram(
    "pintuan_placement_batch_size",
    "Joins that were placed and recorded together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
LANE_REBUILDS: Final = Counter("pintuan_lane_rebuilds", "Lanes whose Redis state was made anew.")
ORPHAN_SEATS: Final = Counter("pintuan_orphan_seats", "Seats freed because nobody ever recorded them.")
REFUSALS: Final = Counter("pintuan_refusals", "Requests refused, by problem code.", labelnames=("code",))

PAYMENT_OPERATIONS: Final = Counter(
    "pintuan_payment_operations",
    "Answers of the payment gateway, by what they led to.",
    labelnames=("kind", "outcome"),
)
PAYMENT_ESCALATIONS: Final = Counter(
    "pintuan_payment_escalations",
    "Payment operations given up or refused in a way that an operator must look at.",
    labelnames=("kind",),
)
PAYMENT_OVERDUE: Final = Gauge(
    "pintuan_payment_overdue_seconds",
    "How long the oldest due payment operation has been waiting.",
    multiprocess_mode="mostrecent",
)
DOORBELL_FAILURES: Final = Counter(
    "pintuan_doorbell_failures", "Doorbells that could not be rung.", labelnames=("doorbell",)
)
JOB_FAILURES: Final = Counter(
    "pintuan_job_failures", "Jobs of the workers that ended with an error.", labelnames=("job",)
)

# Routes, methods and statuses are few, so the children are looked up once and kept.
_request_counters: dict[tuple[str, str, int], Counter] = {}
_request_durations: dict[tuple[str, str], Histogram] = {}


def count_request(*, route: str, method: str, status: int, duration_s: float) -> None:
    """Counts one answered request; `route` is the path's template, never the path itself."""
    if method not in _METHODS:
        method = "other"
    counter = _request_counters.get((route, method, status))
    if counter is None:
        counter = _request_counters[route, method, status] = HTTP_REQUESTS.labels(route, method, str(status))
    counter.inc()
    duration = _request_durations.get((route, method))
    if duration is None:
        duration = _request_durations[route, method] = HTTP_DURATION.labels(route, method)
    duration.observe(duration_s)


def render() -> bytes:
    """Returns the values of all processes in the text format; blocks on files in multiprocess mode."""
    if not os.environ.get(MULTIPROCESS_VARIABLE):
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # The library's own omission.
    return generate_latest(registry)
