"""The metrics of payments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Gauge

from pintuan.base.telemetry.metrics import show_from_start

PAYMENT_KINDS: Final = ("authorise", "capture", "void", "refund")

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
PAYMENTS: Final = Gauge(
    "pintuan_payments",
    "Payment operations that have not ended, and those `escalated` to a person, as a worker last counted; "
    "those that ended are counted in pintuan_payment_operations_total.",
    labelnames=("kind", "state"),
    multiprocess_mode="livemostrecent",
)
GATEWAY_CIRCUIT_OPEN: Final = Gauge(
    "pintuan_gateway_circuit_open",
    "Workers that leave the payment gateway alone, but for a probe now and then, because it does not answer.",
    multiprocess_mode="livesum",
)
METRICS: Final = (
    PAYMENT_OPERATIONS,
    PAYMENT_ESCALATIONS,
    PAYMENTS,
    GATEWAY_CIRCUIT_OPEN,
)

show_from_start(
    PAYMENT_OPERATIONS,
    PAYMENT_KINDS,
    ("succeeded", "declined", "failed", "due", "unknown", "unrecorded"),
)
show_from_start(PAYMENT_ESCALATIONS, PAYMENT_KINDS)

# Kinds and states are few; all that unfinished operations may have are shown from the first sample on.
_payments_shown: set[tuple[str, str]] = {
    (kind, state) for kind in PAYMENT_KINDS for state in ("due", "in_flight", "unknown", "escalated")
}


def show_payments(counts: Mapping[tuple[str, str], int]) -> None:
    """Sets the gauge of payments to counts by (kind, state); a combination that is missing now becomes 0."""
    for labels in _payments_shown:
        if labels not in counts:
            PAYMENTS.labels(*labels).set(0)
    for labels, count in counts.items():
        PAYMENTS.labels(*labels).set(count)
        _payments_shown.add(labels)
