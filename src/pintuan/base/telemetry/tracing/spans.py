"""The spans of a process. Names and attributes keep OpenTelemetry's semantic conventions where those have one
(opentelemetry.io/docs/specs/semconv: http, database, messaging).
"""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pintuan.base.telemetry.tracing.export import LINKS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from asyncpg.connection import LoggedQuery
    from opentelemetry.sdk.trace import TracerProvider

    from groups.listeners import Stage

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR: Final = 500
# Every statement of ours begins with its noun and name.
_NAMED: Final = re.compile(r"/\* ([a-z0-9_.]+) \*/")
_NS_PER_S: Final = 1_000_000_000

_propagator: Final = TraceContextTextMapPropagator()


class RequestSpan:
    """A request that is followed; `answered` notes what became of it."""

    def __init__(self, span: trace.Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, route: str, status: int) -> None:
        """Names the span by the path's template, and keeps the status."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))


class Tracing:
    """Makes the spans of one process. It is also what `groups.listeners.Tracer` asks for."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("pintuan")

    def request(self, method: str, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan | None]:
        """Surrounds a request, going on with the trace in `headers` (W3C Trace Context)."""
        known = method if method in _METHODS else "_OTHER"
        span = self._tracer.start_span(
            known,
            _propagator.extract(headers, Context()),
            SpanKind.SERVER,
            attributes={"http.request.method": known},
        )
        if not span.is_recording():
            return nullcontext()
        return self._entered_request(span, known)

    @contextmanager
    def _entered_request(self, span: trace.Span, method: str) -> Iterator[RequestSpan]:
        with _current(span):
            yield RequestSpan(span, method)

    def caller(self) -> Span | None:
        """Returns the caller's span, or None when it is not followed."""
        span = trace.get_current_span()
        return span if isinstance(span, Span) and span.is_recording() else None

    def batch(self, size: int, callers: Sequence[object]) -> AbstractContextManager[object]:
        """Surrounds a batch: a part of its first caller's trace, linked to and from those of the others."""
        spans = [caller for caller in callers if isinstance(caller, Span)]
        if not spans:
            return nullcontext()
        span = self._tracer.start_span(
            "place batch",
            trace.set_span_in_context(spans[0], Context()),
            links=[Link(caller.get_span_context()) for caller in spans],
            attributes={"pintuan.batch.size": size},
        )
        for other in spans[1:]:
            if other.is_recording():
                other.add_link(span.get_span_context())
        return _current(span)

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Surrounds a stage of the batch around it."""
        return self._within(stage, SpanKind.INTERNAL, {})

    def script(self, name: str) -> AbstractContextManager[object]:
        """Surrounds a call of one of the engine's scripts in Redis."""
        attributes = {
            "db.system.name": "redis",
            "db.operation.name": "EVALSHA",
            "db.stored_procedure.name": name,
        }
        return self._within(f"redis {name}", SpanKind.CLIENT, attributes)

    def gateway_call(self, operation: str, reference: str | None) -> AbstractContextManager[object]:
        """Surrounds a call to the payment gateway; `reference` is the order's id."""
        attributes = {} if reference is None else {"pintuan.order.id": reference}
        return self._within(f"gateway {operation}", SpanKind.CLIENT, attributes)

    def statement_ended(self, statement: LoggedQuery) -> None:
        """Makes a span of a statement that has just ended, if its caller was followed when it began.

        asyncpg calls this a turn of the loop later, in the caller's context.
        """
        caller = trace.get_current_span()
        if not isinstance(caller, Span) or not caller.get_span_context().trace_flags.sampled:
            return
        ended_ns = time.time_ns()
        started_ns = ended_ns - round(statement.elapsed * _NS_PER_S)
        if caller.end_time is not None and caller.end_time < started_ns:
            return
        named = _NAMED.match(statement.query)
        name = named[1] if named else statement.query.split(None, 1)[0].rstrip(";")
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(caller, Context()),
            SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.summary": name},
            start_time=started_ns,
        )
        if statement.exception is not None:
            _fail(span, statement.exception)
        span.end(ended_ns)

    def carrier(self) -> str | None:
        """Returns the `traceparent` of the current span, or None when it is not followed."""
        fields: dict[str, str] = {}
        if self.caller() is not None:
            _propagator.inject(fields)
        return fields.get("traceparent")

    def job(self, name: str, carriers: Sequence[str]) -> AbstractContextManager[object]:
        """Surrounds a job that whoever is named in `carriers` asked for: part of the first one's trace.

        They were followed, or they would not be named, so the job is followed too; without any it is not.
        """
        contexts = [context for carrier in carriers[:LINKS_MAX] if (context := _context_of(carrier)).is_valid]
        if not contexts:
            return nullcontext()
        first = contexts[0]
        # As a parent of this process it is not asked again whether it is to be followed.
        parent = SpanContext(first.trace_id, first.span_id, is_remote=False, trace_flags=first.trace_flags)
        span = self._tracer.start_span(
            f"job {name}",
            trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            SpanKind.CONSUMER,
            links=[Link(context) for context in contexts],
            attributes={"messaging.system": "arq", "messaging.operation.name": name},
        )
        return _current(span)

    def _within(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str]
    ) -> AbstractContextManager[object]:
        if self.caller() is None:
            return nullcontext()
        return _current(self._tracer.start_span(name, kind=kind, attributes=attributes))


@contextmanager
def _current(span: trace.Span) -> Iterator[trace.Span]:
    """Makes the span the current one, and ends it; of an exception only the class is kept."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except BaseException as error:
            _fail(span, error)
            raise


def _fail(span: trace.Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def _context_of(carrier: str) -> SpanContext:
    extracted = _propagator.extract({"traceparent": carrier}, Context())
    return trace.get_current_span(extracted).get_span_context()
