"""The metrics of messages to people."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from pintuan.base.telemetry.metrics import show_from_start

NOTIFICATIONS: Final = Counter(
    "pintuan_notifications",
    "Messages to people by what became of them: sent, retried, expired or failed.",
    labelnames=("channel", "outcome"),
)
METRICS: Final = (NOTIFICATIONS,)

show_from_start(NOTIFICATIONS, ("email", "sms"), ("sent", "retried", "expired", "failed"))
