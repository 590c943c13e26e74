"""uvicorn's server, taught to tell when it serves and to end without cutting anybody off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# The time a client that keeps its connection has to send one more request and be told that it was the last.
KEPT_CONNECTION_WAIT_S_MAX: Final = 1.0
_POLL_S: Final = 0.02
_CLOSE: Final = (b"connection", b"close")


class PoliteServer(uvicorn.Server):
    """Ends in order: takes no new connections, answers what comes on open ones with `Connection: close`.

    uvicorn itself closes a connection that is idle at that moment, even if its next request is on the way. A
    client cannot know whether that request was carried out (RFC 9112, section 9.6).
    """

    def __init__(self, config: uvicorn.Config, *, serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and tells that it serves."""
        await super().startup(sockets)
        self._serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets open connections go, each after its answer, and then ends like any uvicorn."""
        for server in self.servers:
            server.close()
        # The sockets stay open in the supervisor and in other processes, which go on accepting.
        for listener in sockets or []:
            listener.close()
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        for _ in range(round(KEPT_CONNECTION_WAIT_S_MAX / _POLL_S)):
            if self.force_exit or not self.server_state.connections:
                break
            await asyncio.sleep(_POLL_S)
        await super().shutdown(sockets)
