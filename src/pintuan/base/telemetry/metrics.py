"""Metrics in the Prometheus text format, right for one process and for several.

With `PROMETHEUS_MULTIPROC_DIR` set before the first import of this module, every process keeps its values in
files there, and any process answers for all. The supervisor sets it and empties the directory at its start.

The metrics of processes, of HTTP and of the engine are declared here, those of a noun in its `metrics.py`.
Every process loads all of them.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
UNMATCHED_ROUTE: Final = "unmatched"
_RENDER_TRIES_MAX: Final = 3
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATION_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# The contract's limits, two seconds and ten more for held seats, are bounds of buckets.
_LAG_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 12.0, 30.0, 60.0, 300.0)


class _BatchedHistogram(Histogram):
    """A histogram that takes many values for little more than the price of one."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Observes each of `values`."""
        counts: dict[int, int] = {}
        for value in values:
            bucket = bisect_left(self._upper_bounds, value)
            counts[bucket] = counts.get(bucket, 0) + 1
        self._sum.inc(sum(values))
        for bucket, count in counts.items():
            self._buckets[bucket].inc(count)


HTTP_REQUESTS: Final = Counter(
    "pintuan_http_requests", "Requests answered.", labelnames=("route", "method", "status")
)
HTTP_FAULTS: Final = Counter(
    "pintuan_http_faults",
    "Connections ended for what came on them: no request, too large a one, or one connection too many.",
    labelnames=("status",),
)
HTTP_UNREAD: Final = Counter(
    "pintuan_http_unread",
    "Connections ended because their client did not take its answer: for slowness, or for a bound.",
    labelnames=("reason",),
)
HTTP_DURATION: Final = _BatchedHistogram(
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
PLACEMENT_STAGE: Final = Histogram(
    "pintuan_placement_stage_seconds",
    "What each stage took a batch of joins: queue (the first join waits for the batch to leave), script (the "
    "call to Redis), record (the order store makes it durable).",
    labelnames=("stage",),
    buckets=_STAGE_BUCKETS_S,
)
PLACEMENTS_IN_FLIGHT: Final = Gauge(
    "pintuan_placements_in_flight",
    "Joins, openings and purchases under way, sampled four times a second; beyond a limit they are refused.",
    multiprocess_mode="livesum",
)
LANE_REBUILDS: Final = Counter("pintuan_lane_rebuilds", "Lanes whose Redis state was made anew.")
ORPHAN_SEATS: Final = Counter("pintuan_orphan_seats", "Seats freed because nobody ever recorded them.")
REDIS_NEIGHBOURS: Final = Gauge(
    "pintuan_redis_neighbours",
    "Other marketplaces that use the Redis that places as if it were theirs, as a worker last found.",
    multiprocess_mode="livemostrecent",
)
REFUSALS: Final = Counter("pintuan_refusals", "Requests refused, by problem code.", labelnames=("code",))

DENIED: Final = Counter(
    "pintuan_denied",
    "Calls refused to callers who are known, or who brought an API key that does not count.",
    labelnames=("caller", "code"),
)

SETTLEMENT_LAG: Final = Histogram(
    "pintuan_settlement_lag_seconds",
    "By the order store's clock, time from the moment a group's settlement was due to the decision.",
    buckets=_LAG_BUCKETS_S,
)
GROUPS_ENDED: Final = Counter(
    "pintuan_groups_ended",
    "Groups that reached their end: succeeded or failed.",
    labelnames=("outcome",),
)
QUEUE_LAG: Final = Histogram(
    "pintuan_queue_lag_seconds",
    "By the queue's clock, time from a doorbell's arrival in the queue to the start of its job.",
    buckets=_LAG_BUCKETS_S,
)

PAYMENT_OVERDUE: Final = Gauge(
    "pintuan_payment_overdue_seconds",
    "How long the oldest due payment operation has been waiting, as whoever answers here found in Postgres.",
    multiprocess_mode="livemostrecent",
)
WAITING: Final = Gauge(
    "pintuan_waiting_seconds",
    "How long what waits longest has waited, as whoever answers here found in Postgres: `untried` for the "
    "first attempt at a held order's payment, `held` for the end of a held order since, `group` for a look.",
    labelnames=("what",),
    multiprocess_mode="livemostrecent",
)
STORE_ANSWERS: Final = Gauge(
    "pintuan_store_answers",
    "Whether a store answers whoever answers here, 1 or 0; redis is the one that places.",
    labelnames=("store",),
    multiprocess_mode="livemostrecent",
)
UNHEARD_EVENTS: Final = Gauge(
    "pintuan_unheard_events",
    "Events that a noun has yet to hear, as a worker last counted, up to a hundred thousand.",
    labelnames=("noun",),
    multiprocess_mode="livemostrecent",
)
UNHEARD_EVENT_AGE: Final = Gauge(
    "pintuan_unheard_event_seconds",
    "How long the oldest event that a noun has yet to hear, and did not fail on, has waited, as a worker "
    "last looked.",
    labelnames=("noun",),
    multiprocess_mode="livemostrecent",
)
QUEUE_AWAY: Final = Gauge(
    "pintuan_queue_away",
    "Workers that cannot use the job queue; they work by their own clock meanwhile.",
    multiprocess_mode="livesum",
)
QUEUE_OUTAGES: Final = Counter(
    "pintuan_queue_outages", "How often a worker found that it could not use the job queue any more."
)
_SWEEP_FINISHED: Final = "pintuan_sweep_finished_timestamp_seconds"
SWEEP_FINISHED: Final = Gauge(
    _SWEEP_FINISHED,
    "Unix time by the worker's own clock at which it last came to the end of a sweep.",
    labelnames=("sweep",),
    multiprocess_mode="liveall",
)
DOORBELL_FAILURES: Final = Counter(
    "pintuan_doorbell_failures", "Doorbells that could not be rung.", labelnames=("doorbell",)
)
SETBACKS: Final = Gauge(
    "pintuan_setbacks",
    "Rows that a sweep failed on, as a worker last counted: `failing` ones are tried again within a minute, "
    "those `set_aside` once an hour.",
    labelnames=("sweep", "state"),
    multiprocess_mode="livemostrecent",
)
JOB_FAILURES: Final = Counter(
    "pintuan_job_failures", "Jobs of the workers that ended with an error.", labelnames=("job",)
)


def show_from_start(counter: Counter, *values: Sequence[str]) -> None:
    """Shows every combination of a counter's labels as 0, so that no rate misses a first event.

    Metrics of refusals, doorbells and jobs are shown where codes, doorbells and jobs are listed.
    """
    for labels in product(*values):
        counter.labels(*labels)


show_from_start(DENIED, ("buyer", "merchant", "admin", "api_key"), ("forbidden",))

# The metrics that every batch and every group counts, looked up once.
PLACEMENT_STAGES: Final[dict[str, Histogram]] = {
    stage: PLACEMENT_STAGE.labels(stage) for stage in ("queue", "script", "record")
}
GROUP_OUTCOMES: Final[dict[str, Counter]] = {
    outcome: GROUPS_ENDED.labels(outcome) for outcome in ("succeeded", "failed")
}

# Routes, methods and statuses are few, so the children are looked up once and kept.
_request_counters: dict[tuple[str, str, int], Counter] = {}
_request_durations: dict[tuple[str, str], _BatchedHistogram] = {}
# Sweeps are few. The lifecycle's are shown from the first sample on, so that a graph says 0.
_sweeps_shown: set[str] = {"lifecycle"}


def count_requests(*, route: str, method: str, status: int, durations_s: Sequence[float]) -> None:
    """Counts answered requests of one kind; `route` is the path's template, never the path itself."""
    if method not in _METHODS:
        method = "other"
    counter = _request_counters.get((route, method, status))
    if counter is None:
        counter = _request_counters[route, method, status] = HTTP_REQUESTS.labels(route, method, str(status))
    counter.inc(len(durations_s))
    duration = _request_durations.get((route, method))
    if duration is None:
        duration = _request_durations[route, method] = HTTP_DURATION.labels(route, method)
    duration.observe_all(durations_s)


def count_refused_early(route: str, count: int) -> None:
    """Counts calls that were refused as `overloaded` before they became requests; their time is not kept."""
    REFUSALS.labels("overloaded").inc(count)
    HTTP_REQUESTS.labels(route, "POST", "503").inc(count)


def observe_stage(stage: str, duration_s: float) -> None:
    """Notes what one of `PLACEMENT_STAGES` took a batch."""
    PLACEMENT_STAGES[stage].observe(duration_s)


def count_ended(outcome: str) -> None:
    """Counts a group that came to one of `GROUP_OUTCOMES`."""
    GROUP_OUTCOMES[outcome].inc()


def note_sweep(sweep: str) -> None:
    """Notes that this process has just come to the end of a sweep."""
    SWEEP_FINISHED.labels(sweep).set_to_current_time()


def last_sweep_s() -> float | None:
    """Returns the Unix time at which a worker of this node last came to the end of a sweep; blocks on files.

    None when none has yet, or none is left that did.
    """
    directory = os.environ.get(MULTIPROCESS_VARIABLE)
    if directory is None:
        families: Iterable[Metric] = SWEEP_FINISHED.collect()
    else:
        files = [str(file) for file in Path(directory).glob("gauge_liveall_*.db")]
        families = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    times_s = [
        sample.value for family in families for sample in family.samples if sample.name == _SWEEP_FINISHED
    ]
    return max(times_s, default=None)


def show_waits(
    *, untried_s: float | None, held_s: float | None, group_s: float | None, payment_s: float | None
) -> None:
    """Sets the gauges of the longest waits, in seconds; None where nothing waits."""
    WAITING.labels("untried").set(untried_s or 0)
    WAITING.labels("held").set(held_s or 0)
    WAITING.labels("group").set(group_s or 0)
    PAYMENT_OVERDUE.set(payment_s or 0)


def show_store(store: str, *, answers: bool) -> None:
    """Sets whether a store answers."""
    STORE_ANSWERS.labels(store).set(answers)


def show_unheard(unheard: Mapping[str, tuple[int, int]]) -> None:
    """Sets the gauges of events to (count, ms that the oldest has waited) by noun."""
    for noun, (count, waited_ms) in unheard.items():
        UNHEARD_EVENTS.labels(noun).set(count)
        UNHEARD_EVENT_AGE.labels(noun).set(waited_ms / 1000)


def show_setbacks(counts: Mapping[str, tuple[int, int]]) -> None:
    """Sets the gauge of setbacks to (failing, set aside) by sweep; a sweep that is missing now has none."""
    _sweeps_shown.update(counts)
    for sweep in _sweeps_shown:
        failing, set_aside = counts.get(sweep, (0, 0))
        SETBACKS.labels(sweep, "failing").set(failing)
        SETBACKS.labels(sweep, "set_aside").set(set_aside)


def render() -> bytes:
    """Returns the values of all processes in the text format; blocks on files in multiprocess mode."""
    if not os.environ.get(MULTIPROCESS_VARIABLE):
        return generate_latest(REGISTRY)
    for _ in range(_RENDER_TRIES_MAX - 1):
        try:
            return _render_all()
        except FileNotFoundError:
            # Between finding a dead process' file and reading it, it was forgotten.
            continue
    return _render_all()


def _render_all() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # The library's own omission.
    return generate_latest(registry)


def forget_process(directory: Path, pid: int) -> None:
    """Forgets the gauges of a process that died, and keeps what it counted.

    The files of a process that counted nothing go too: a worker restarted again and again during an outage
    would otherwise leave thousands for every later reading.
    """
    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]  # The library's own omission.
    for file in directory.glob(f"*_{pid}.db"):
        families = MultiProcessCollector.merge([str(file)], accumulate=False)  # type: ignore[no-untyped-call]
        if not any(sample.value for family in families for sample in family.samples):
            file.unlink()
