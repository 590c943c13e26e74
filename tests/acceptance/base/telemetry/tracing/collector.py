"""A collector of traces, as a process would find one: OTLP over HTTP (opentelemetry.io/docs/specs/otlp)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Collected:
    """One span; ids in hex."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: frozenset[str]
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What was sent so far."""

    url: str = ""
    spans: list[Collected] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def named(self, name: str, *, trace: str | None = None) -> list[Collected]:
        """The spans of a name, in one trace or in all."""
        return [span for span in self.spans if span.name == name and trace in (None, span.trace)]

    def one(self, name: str, *, trace: str | None = None) -> Collected:
        """The only span of a name."""
        (span,) = self.named(name, trace=trace)
        return span

    def take(self, body: bytes) -> None:
        """Decodes an export."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Collected(
                        service=about["service.name"],
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        links=frozenset(link.span_id.hex() for link in span.links),
                        attributes={
                            entry.key: getattr(entry.value, entry.value.WhichOneof("value") or "")
                            for entry in span.attributes
                        },
                    )
                    for span in scope.spans
                ]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port, for the life of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, name="collector")
    serving.start()
    try:
        yield collector
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
