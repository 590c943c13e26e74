"""Traces by OpenTelemetry, for those who name a collector in PINTUAN_OTLP_ENDPOINT.

    requests.py   the outermost span of a request
    spans.py      the other spans: batches of the engine, statements, jobs, calls to the payment gateway
    gateway.py    a payment gateway whose calls are spans
    export.py     how spans leave the process

Without an endpoint none of OpenTelemetry is imported. The choice to follow a request is made where it comes
in; everything else is a span only inside a followed one. No span holds what a caller sent: paths are
templates, statements are names, and exceptions are classes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pintuan.base.settings.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.settings.settings import Settings
    from pintuan.base.telemetry.tracing.spans import Tracing

ENDPOINT_VARIABLE = "PINTUAN_OTLP_ENDPOINT"


def require_sdk(settings: Settings) -> None:
    """Raises SettingsError when traces are asked for and the packages they need are not installed."""
    if settings.otlp_endpoint is not None and find_spec("opentelemetry") is None:
        raise SettingsError(ENDPOINT_VARIABLE, "set, but OpenTelemetry is missing; install pintuan[otel]")


@asynccontextmanager
async def open_tracing(settings: Settings, service: str) -> AsyncIterator[Tracing | None]:
    """Yields what makes spans, for the life of the block, or None when no endpoint is set.

    `service` is what traces call this process. Raises SettingsError; a collector that does not answer is told
    in the log, and disturbs nobody.
    """
    if settings.otlp_endpoint is None:
        yield None
        return
    require_sdk(settings)
    from pintuan.base.telemetry.tracing.export import open_provider
    from pintuan.base.telemetry.tracing.spans import Tracing

    async with open_provider(settings, service) as provider:
        yield Tracing(provider)
