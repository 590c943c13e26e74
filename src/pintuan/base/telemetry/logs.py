"""Logs: one JSON object a line, or coloured text on a developer's terminal.

Everything goes the same way out: our own loggers, uvicorn's, arq's and any library's. The line of a request
is written on the hot path. In JSON it therefore skips the processors and costs a few microseconds.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from pintuan.base.clock import process_now

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

    from pintuan.base.settings.settings import Settings
    from pintuan.base.telemetry.ended_request import EndedRequest

LEVEL: Final = logging.INFO
# Libraries that tell of each call they make; their warnings still show.
_CHATTY: Final = ("httpx", "httpcore", "asyncio", "uvicorn.access")
# Libraries that tell of each retry with a traceback; during an outage they would bury the rest.
_RETRYING: Final = ("asyncpg.pool",)
_MASK: Final = "***"
_SECRET_KEYS: Final = frozenset(
    {
        "access_token",
        "authorization",
        "cookie",
        "password",
        "refresh_token",
        "secret",
        "secret_key",
        "signature",
        "token",
    }
)
# The password of a URL, and a bearer token, wherever a library's message or a traceback repeats them.
_SECRET_TEXT: Final = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)|(?i:(bearer) )[\w.~+/=-]+")

_encoder = msgspec.json.Encoder(enc_hook=repr)


class _CurrentStderr:
    """Writes to the current stderr, so that a redirection after configuring is honoured."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _LineLogger:
    """The end of the line: one rendered event, one write."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def _in_one_line(record: logging.LogRecord) -> bool:
    """Keeps of a warning's exception only what it is; the rest of a defect's traceback is left alone."""
    if record.exc_info and record.exc_info[1] is not None and record.levelno == logging.WARNING:
        record.msg = f"{record.getMessage()}: {record.exc_info[1]!r}"
        record.args, record.exc_info = (), None
    return True


class _RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """The line of a request; the constant fields come with the type."""

    event: str = "request"
    request_id: str
    method: str
    route: str
    status: int
    duration_ms: float
    logger: str = "pintuan.request"
    level: str = "info"
    timestamp: datetime


class RequestLog:
    """Writes the lines of finished requests."""

    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        self._settings = settings
        self._as_json = as_json
        self._logger = structlog.get_logger("pintuan.request")

    def write(self, requests: Sequence[EndedRequest]) -> None:
        """Writes a line for each, in one piece."""
        if not self._as_json:
            for request in requests:
                self._logger.info(
                    "request",
                    request_id=request.request_id,
                    method=request.method,
                    route=request.route,
                    status=request.status,
                    duration_ms=_milliseconds(request),
                )
            return
        timestamp = process_now(self._settings)
        lines = [
            _RequestLine(
                request_id=request.request_id,
                method=request.method,
                route=request.route,
                status=request.status,
                duration_ms=_milliseconds(request),
                timestamp=timestamp,
            )
            for request in requests
        ]
        sys.stderr.write(_encoder.encode_lines(lines).decode())


def _milliseconds(request: EndedRequest) -> float:
    # Cut to hundredths, which costs a third of rounding.
    return int(request.duration_s * 100_000) / 100


def configure(settings: Settings) -> RequestLog:
    """Sets up structlog and the standard library's logging; returns the writer of request lines.

    JSON, unless a developer looks at a terminal. Calling it again replaces the earlier setup.
    """
    as_json = settings.env == "production" or not sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamp(settings),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, _mask_secrets, structlog.processors.JSONRenderer(_to_json)]
        if as_json
        else [_mask_secrets, structlog.dev.ConsoleRenderer()]
    )
    # Loggers in use keep the list they were made with: changed in place, the new setup reaches them too.
    processors = structlog.get_config()["processors"]
    processors[:] = [*shared, *last]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVEL),
        logger_factory=_make_line_logger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_CurrentStderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVEL)
    for name in ("uvicorn", "uvicorn.error", "arq"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _RETRYING:
        # Set rather than added, so that configuring again leaves one.
        logging.getLogger(name).filters = [_in_one_line]
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    return RequestLog(settings, as_json=as_json)


def _make_line_logger(name: str = "pintuan") -> _LineLogger:
    return _LineLogger(name)


def _stamp(settings: Settings) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["timestamp"] = process_now(settings).isoformat().replace("+00:00", "Z")
        return event

    return stamp


def _mask_secrets(
    _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key in _SECRET_KEYS:
            event[key] = _MASK
        elif isinstance(value, str) and ("://" in value or "earer " in value):
            event[key] = _SECRET_TEXT.sub(_masked, value)
    return event


def _masked(match: re.Match[str]) -> str:
    return f"{match[2]} {_MASK}" if match[2] else f"{match[1]}:{_MASK}"


def _to_json(event: Any, **_options: Any) -> str:
    return _encoder.encode(event).decode()
