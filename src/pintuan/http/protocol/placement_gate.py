"""The placing calls an API process works on at once, and the answer to further ones.

Three times more joins than a process can place must not slow down those it does place, so a refusal has to
cost next to nothing. The gate therefore stands in the HTTP protocol, in front of every layer, task and scope,
and answers with bytes made in advance. Health, reads and everything else pass it unseen.
"""

from __future__ import annotations

import re
import secrets
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from pintuan.base.telemetry import metrics
from pintuan.http.problems import MEDIA_TYPE, STORE_RETRY_AFTER_S, overloaded_document
from pintuan.http.protocol.request_target import QUERY, SEGMENT, is_authority
from pintuan.http.request_ids import REQUEST_ID_HEADER, sent_request_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

REVIEW_S: Final = 0.25
"""The period at which counts are handed on, while there are any."""
LOG_EVERY_S: Final = 5.0
"""Refusals come by the thousand; one line in this time says how many."""

ROUTES: Final = (
    "/v1/deals/{deal_id}/join",
    "/v1/deals/{deal_id}/groups",
    "/v1/deals/{deal_id}/buy",
    "/v1/groups/{group_id}/join",
)
_TARGET: Final = b"/v1/(?:deals/%b/(?:(join)|(groups)|(buy))|groups/%b/(join))(?:\\?%b)?" % (
    SEGMENT,
    SEGMENT,
    QUERY,
)
_PLACING: Final = re.compile(_TARGET)
_WHOLE_LINE: Final = re.compile(rb"POST %b HTTP/1\.1\r\n" % _TARGET)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})\r\n")
_HOST: Final = re.compile(rb"\r\nhost: ?([^\r\n]*)\r\n")
_REQUEST_ID: Final = re.compile(rb"\r\n%b: ?([^\r\n]*)" % REQUEST_ID_HEADER, re.IGNORECASE)
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_BREAKS: Final = b"\r\n" * 256
_logger = structlog.get_logger("pintuan.overload")


class PlacementGate:
    """Counts the placing calls under way and says whether one more may begin.

    One for each process, used by the protocols of all its connections.
    """

    def __init__(self, in_flight_max: int) -> None:
        self._in_flight_max = in_flight_max
        self._answer = _Answer()
        self._refused = dict.fromkeys(ROUTES, 0)
        self._refused_unlogged = 0
        self._log_at_s = 0.0
        self._review: asyncio.TimerHandle | None = None
        self.in_flight = 0

    @property
    def is_full(self) -> bool:
        """Says whether another placing call must be refused."""
        return self.in_flight >= self._in_flight_max

    def enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Counts a placing call until `leave`."""
        self.in_flight += 1
        if self._review is None:
            self._review = loop.call_later(REVIEW_S, self._look, loop)

    def leave(self) -> None:
        """Ends what `enter` began."""
        self.in_flight -= 1

    def refuse(
        self, route: str, headers: Iterable[tuple[bytes, bytes]], default_headers: Headers, *, close: bool
    ) -> bytes:
        """Counts a refusal and returns the whole response to it.

        `headers` are the request's, and the server puts `default_headers` into every response; with `close`
        it tells the client that the connection ends.
        """
        # There are as many under way as there may be, so a review is due already and hands this on.
        self._refused[route] += 1
        return self._answer.to(headers, default_headers, close=close)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        metrics.PLACEMENTS_IN_FLIGHT.set(self.in_flight)
        for route, refused in self._refused.items():
            if refused:
                metrics.count_refused_early(route, refused)
                self._refused_unlogged += refused
                self._refused[route] = 0
        if self._refused_unlogged and now_s >= self._log_at_s:
            self._log_at_s = now_s + LOG_EVERY_S
            _logger.warning(
                "more is asked for than can be placed",
                refused=self._refused_unlogged,
                in_flight=self.in_flight,
                in_flight_max=self._in_flight_max,
            )
            self._refused_unlogged = 0
        busy = self.in_flight > 0 or self._refused_unlogged > 0
        self._review = loop.call_later(REVIEW_S, self._look, loop) if busy else None


def route_of(target: bytes) -> str | None:
    """Returns which of `ROUTES` a POST of this request target calls, or None when it places nothing."""
    match = _PLACING.fullmatch(target)
    return None if match is None or match.lastindex is None else ROUTES[match.lastindex - 1]


def whole_call(data: bytes) -> tuple[str, Headers] | None:
    """Returns the route of a placing call and its id as a header, if `data` is one such call and nothing
    else.

    A parser costs as much as all else in a refusal. The plainest requests, which are nearly all, are
    therefore told apart by a few searches. A request that anybody could read with other bounds (RFC 9112,
    sections 6.3 and 11.2) is left to the parser: None.
    """
    line = _WHOLE_LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None or line.lastindex is None or end < 0:
        return None
    head = data[: end + 2].lower()
    length = _LENGTH.search(head)
    if length is None or end + 4 + int(length[1]) != len(data) or head.count(b"content-length") > 1:
        return None
    # Printable ASCII only, every line ends in CRLF, no folded headers.
    breaks = head.translate(None, _PRINTABLE)
    if breaks != _BREAKS[: len(breaks)] or b"\r\n " in head:
        return None
    host = _HOST.search(head)
    if host is None or head.count(b"\r\nhost") > 1 or not is_authority(host[1]):
        return None
    if (
        b"transfer-encoding" in head
        or b"expect:" in head
        or (b"connection:" in head and not _keeps_alive(head))
    ):
        return None
    route = ROUTES[line.lastindex - 1]
    if REQUEST_ID_HEADER not in head:
        return route, ()
    request_id = _REQUEST_ID.search(data, 0, end + 2)
    return route, () if request_id is None else ((REQUEST_ID_HEADER, request_id[1]),)


def _keeps_alive(head: bytes) -> bool:
    return b"\r\nconnection: keep-alive\r\n" in head and head.count(b"connection:") == 1


class _Answer:
    """The response to a refused call. All of it but the request's id is made once for many."""

    def __init__(self) -> None:
        self._body = b"\r\n\r\n" + overloaded_document()
        self._ids = count()
        self._ids_prefix = secrets.token_hex(6).encode("ascii")
        self._default_headers: Headers = ()
        self._head = _head((), len(self._body) - 4)

    def to(self, headers: Iterable[tuple[bytes, bytes]], default_headers: Headers, *, close: bool) -> bytes:
        # The server replaces the list when a header of it changes, once a second.
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._head = _head(default_headers, len(self._body) - 4)
        request_id = self._request_id(headers)
        ending = b"\r\nconnection: close" if close else b""
        return b"%b%b: %b%b%b" % (self._head, REQUEST_ID_HEADER, request_id, ending, self._body)

    def _request_id(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        # Unique is enough for one of ours: nothing is logged about a call that was turned away.
        return sent_request_id(headers) or b"%b%012x" % (self._ids_prefix, next(self._ids))


def _head(default_headers: Headers, size: int) -> bytes:
    own = (
        (b"cache-control", b"no-store"),
        (b"retry-after", b"%d" % STORE_RETRY_AFTER_S),
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-length", b"%d" % size),
        (b"x-content-type-options", b"nosniff"),
    )
    # The caller says whether the connection ends, because it knows of more reasons.
    shown = [pair for pair in (*default_headers, *own) if pair[0] != b"connection"]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in shown)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines
