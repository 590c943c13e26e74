"""`/health/live`, `/health/ready` and `/metrics`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.datastructures import State

from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.base.errors import FieldError, NotReady
from pintuan.base.telemetry import metrics


class Liveness(msgspec.Struct):
    """The process answers; nothing more is promised."""

    status: Annotated[Literal["live"], msgspec.Meta(description="Always the same.", examples=["live"])] = (
        "live"
    )


class Readiness(msgspec.Struct):
    """The process can serve: its stores answer and the schema is the one it was built for."""

    status: Annotated[Literal["ready"], msgspec.Meta(description="Always the same.", examples=["ready"])] = (
        "ready"
    )


@get("/health/live", summary="Is the process alive?")
async def live() -> Liveness:
    """Answers as long as the event loop turns."""
    return Liveness()


@get("/health/ready", summary="Can the process serve?")
async def ready(state: State) -> Readiness:
    """Answers 503 with the parts that fail, or once shutdown has begun; one look serves all who ask."""
    if state.draining.begun:
        raise NotReady([FieldError("process", "shutting down")])
    failing = await state.readiness.get()
    if failing:
        raise NotReady(failing)
    return Readiness()


@get(
    "/metrics",
    summary="Metrics in the Prometheus text format",
    media_type=MediaType.TEXT,
    response_description="Counters, gauges and histograms of all API processes.",
)
async def read_metrics(state: State) -> Response[bytes]:
    """Answers for all processes of the API, as they were within the last second.

    In production the API's port has no such address; the operator's, PINTUAN_METRICS_PORT, has.
    """
    return Response(await state.metrics_text.get(), media_type=metrics.CONTENT_TYPE)


ROUTES: Final = [Router("/", route_handlers=[live, ready], tags=["operator"], opt={PUBLIC_OPTION: True})]
# They tell how much is sold. The API's own port therefore has them in development alone, and only while no
# port of their own is set.
METRICS_ROUTES: Final = [
    Router("/", route_handlers=[read_metrics], tags=["operator"], opt={PUBLIC_OPTION: True})
]
