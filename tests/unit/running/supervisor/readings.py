"""What independent parsers see in the bytes of a connection, message by message, until they refuse."""

from __future__ import annotations

from typing import Any, NamedTuple

import h11
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from tests.unit.running.supervisor.wire import Message

SIZE_MAX = 1_000_000


class Reading(NamedTuple):
    """The whole messages a parser sees; `goes_on` when it would read another one from the connection."""

    messages: list[Message]
    goes_on: bool


def by_h11(data: bytes) -> Reading:
    """Reads with h11, which answers each request so that it goes on to the next."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=SIZE_MAX)
    connection.receive_data(data)
    messages: list[Message] = []
    request, body = None, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return Reading(messages, goes_on=False)
        if event is h11.NEED_DATA:
            return Reading(messages, goes_on=True)
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            messages.append(Message(request.method, request.target, body))
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return Reading(messages, goes_on=False)
            connection.start_next_cycle()
        else:
            return Reading(messages, goes_on=False)


def by_waitress(data: bytes) -> Reading:
    """Reads with waitress, as its channel does."""
    settings = Adjustments(max_request_header_size=SIZE_MAX, max_request_body_size=SIZE_MAX)
    messages: list[Message] = []
    while data:
        # Its stubs are of an older version.
        parser: Any = HTTPRequestParser(settings)
        while data and not parser.completed:
            data = data[parser.received(data) :]
        if parser.error is not None:
            return Reading(messages, goes_on=False)
        if not parser.completed or parser.empty:
            continue
        body = parser.get_body_stream().read()
        messages.append(Message(parser.command.encode("latin-1"), parser.request_uri.encode("latin-1"), body))
        if parser.connection_close:
            return Reading(messages, goes_on=False)
    return Reading(messages, goes_on=True)
