"""The body of a request, waited for before anything is taken that others need as well.

A client may send its body as slowly as the server lets it; that costs only bounded memory.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, cast

from pintuan.http.bodies import BODY_SIZE_MAX

if TYPE_CHECKING:
    from litestar.types import HTTPReceiveMessage, HTTPScope, Receive, ReceiveMessage

# Their handlers read no body, so one that comes slowly keeps none of them waiting.
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def arrived(scope: HTTPScope, receive: Receive) -> Receive:
    """Waits until the body is here, or more than any call takes; returns what hands it to the application."""
    if scope["method"] in _BODILESS:
        return receive
    messages: deque[HTTPReceiveMessage] = deque()
    size, is_whole = 0, False
    while not is_whole and size <= BODY_SIZE_MAX:
        # The messages of an HTTP connection; the type of `receive` knows other connections as well.
        message = cast("HTTPReceiveMessage", await receive())
        messages.append(message)
        if message["type"] == "http.disconnect":
            # A client that hangs up sends nothing more, and the application is told so.
            break
        is_whole = not message["more_body"]
        size += len(message["body"])

    async def hand_over() -> ReceiveMessage:
        return messages.popleft() if messages else await receive()

    return hand_over
