"""The metrics of webhooks."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from pintuan.base.telemetry.metrics import show_from_start

WEBHOOK_DELIVERIES: Final = Counter(
    "pintuan_webhook_deliveries",
    "Attempts to deliver webhooks by what they led to: delivered, retried, failed for good, or gone.",
    labelnames=("outcome",),
)
WEBHOOK_OVERDUE: Final = Gauge(
    "pintuan_webhook_overdue_seconds",
    "How long the oldest webhook to an endpoint that answers has waited for a worker; sampled by workers.",
    multiprocess_mode="livemostrecent",
)
METRICS: Final = (
    WEBHOOK_DELIVERIES,
    WEBHOOK_OVERDUE,
)

show_from_start(WEBHOOK_DELIVERIES, ("delivered", "retried", "failed", "gone"))
