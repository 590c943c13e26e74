"""The metrics of live streams."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from pintuan.base.telemetry.metrics import show_from_start

EVENT_STREAMS: Final = Gauge(
    "pintuan_event_streams", "Live streams of groups that are open.", multiprocess_mode="livesum"
)
EVENT_STREAMS_DROPPED: Final = Counter(
    "pintuan_event_streams_dropped",
    "Live streams ended before their group was: `slow` readers, and those `drained` by a process that ends.",
    labelnames=("reason",),
)
METRICS: Final = (
    EVENT_STREAMS,
    EVENT_STREAMS_DROPPED,
)

show_from_start(EVENT_STREAMS_DROPPED, ("slow", "drained"))
