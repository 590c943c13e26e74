"""An answer that holds its place until it ends, while its client takes it.

A client can take its answer slowly, so waiting for one holds no place. After a moment the answer steps aside,
and goes on when it has a place again. It is sent in small pieces, however it was made, because the client
must take a piece within a time. A slower client is cut off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import HTTPResponseBodyEvent, Message, Send

PIECE_BYTES: Final = 64 * 1024
ASIDE_AFTER_S: Final = 0.1
READ_GRACE_S: Final = 2.0
READ_BYTES_PER_S_MIN: Final = 32 * 1024
"""A piece takes two seconds at it; with the grace that is less than others wait for a place."""


class Place(Protocol):
    """A place that can be given up for a while."""

    def step_aside(self) -> None:
        """Gives the place to others."""

    async def step_back(self) -> None:
        """Waits for a place, if it was given to others."""


class LongAnswer:
    """Sends an answer of a call that has a place; `hang_up` ends the connection."""

    def __init__(self, send: Send, place: Place, hang_up: Callable[[], None]) -> None:
        self._send = send
        self._place = place
        self._hang_up = hang_up

    async def send(self, message: Message) -> None:
        """Sends what the application does, as fast as the client takes it."""
        if message["type"] != "http.response.body":
            # Answers before it on the connection may still wait for the client, and this one behind them.
            await self._send_piece(message)
            await self._place.step_back()
            return
        body, has_more = message.get("body", b""), message.get("more_body", False)
        for start in range(0, max(len(body), 1), PIECE_BYTES):
            is_last = start + PIECE_BYTES >= len(body)
            piece: HTTPResponseBodyEvent = {
                "type": "http.response.body",
                "body": body[start : start + PIECE_BYTES],
                "more_body": has_more or not is_last,
            }
            await self._send_piece(piece)
            if piece["more_body"]:
                await self._place.step_back()

    async def _send_piece(self, piece: Message) -> None:
        loop = asyncio.get_running_loop()
        # The server waits here until there is room for this piece, so that the one before was taken.
        aside = loop.call_later(ASIDE_AFTER_S, self._place.step_aside)
        end = loop.call_later(READ_GRACE_S + PIECE_BYTES / READ_BYTES_PER_S_MIN, self._hang_up)
        try:
            await self._send(piece)
        finally:
            aside.cancel()
            end.cancel()
