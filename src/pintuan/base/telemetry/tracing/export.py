"""How spans leave the process: from a bounded queue, in a thread of their own, each call with a deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from pintuan.base.settings.settings import Settings

# Under more traffic than the collector takes, the oldest spans that wait are dropped.
SPANS_WAITING_MAX: Final = 4_096
SPANS_PER_EXPORT_MAX: Final = 512
EXPORT_EVERY_MS: Final = 1_000
# For one export with its retries.
EXPORT_TIMEOUT_S: Final = 3.0
# The time at the end of a process; spans that have not left by then are lost.
FLUSH_WAIT_S: Final = 3.0
# A batch of the engine links to each request it served; the engine's own limit is as high.
LINKS_MAX: Final = 256
TRACES_PATH: Final = "/v1/traces"
_POLL_S: Final = 0.02

_logger = structlog.get_logger("pintuan.base.telemetry.tracing")


class ToldOnce(SpanExporter):
    """An exporter that tells of a collector's absence in one line, however long it lasts."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends the spans; those of a failed call are lost."""
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            _logger.warning("traces are lost: the collector does not take them")
        if self._failing and not failed:
            _logger.info("the collector takes traces again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Sends nothing any more."""
        self._exporter.shutdown()


@asynccontextmanager
async def open_provider(settings: Settings, service: str) -> AsyncIterator[TracerProvider]:
    """Yields a provider that sends to the settings' endpoint; at the end it waits `FLUSH_WAIT_S` at most."""
    # The exporter logs every failed call, with each of its retries; `ToldOnce` does that for it.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(f"{settings.otlp_endpoint}{TRACES_PATH}", timeout=EXPORT_TIMEOUT_S)
    provider = TracerProvider(
        sampler=_sampler(settings.trace_share),
        resource=Resource.create(
            {
                "service.namespace": "pintuan",
                "service.name": service,
                "service.version": version("pintuan"),
                "service.instance.id": str(uuid4()),
                "deployment.environment.name": settings.env,
            }
        ),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_links=LINKS_MAX),
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            ToldOnce(exporter),
            max_queue_size=SPANS_WAITING_MAX,
            schedule_delay_millis=EXPORT_EVERY_MS,
            max_export_batch_size=SPANS_PER_EXPORT_MAX,
        )
    )
    try:
        yield provider
    finally:
        await _shut_down(provider)


def _sampler(share: float) -> ParentBased:
    """Follows a share of the incoming requests, by trace id; a caller who does not follow their trace is left
    alone.

    A caller's wish to be followed counts no more than anybody's; strangers could make us follow everything.
    """
    by_id = TraceIdRatioBased(share)
    return ParentBased(by_id, remote_parent_sampled=by_id, remote_parent_not_sampled=ALWAYS_OFF)


async def _shut_down(provider: TracerProvider) -> None:
    # A thread that ends with the process: the library's own deadline is longer than a process has to end.
    flushing = threading.Thread(target=provider.shutdown, name="last traces", daemon=True)
    flushing.start()
    for _ in range(round(FLUSH_WAIT_S / _POLL_S)):
        if not flushing.is_alive():
            break
        await asyncio.sleep(_POLL_S)
