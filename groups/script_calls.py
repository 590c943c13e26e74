"""Sends script calls that many lanes make at a time in one go, for lanes on one server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from groups.connections import Connections, Home
from groups.convoy import Convoy
from groups.scripts import Script

ITEMS_MAX = 512
# Two, so that one is packed or read while Redis works on the other.
LOADS_AT_ONCE_MAX = 2
# A cluster has fewer servers; those that are gone are forgotten now and then.
CONVOYS_MAX = 1_000


class ScriptCall(NamedTuple):
    """One lane's call: its epoch, and KEYS and ARGV of the script without the token."""

    script: Script
    epoch: int
    keys: Sequence[str]
    arguments: tuple[bytes | str | int, ...]

    def command(self, run_id: str) -> tuple[Any, ...]:
        """Returns the command for a server of this run id."""
        token = f"{self.epoch}:{run_id}"
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, token, *self.arguments)


Run = Callable[[ScriptCall], Awaitable[bytes]]


class ScriptCalls:
    """Sends calls; `run` makes one by itself, wherever its lane is by now, and with the script's text.

    Each server has a convoy of its own, so that one that hangs holds up nobody else's lanes.
    """

    def __init__(self, connections: Connections, run: Run) -> None:
        self._connections = connections
        self._run = run
        self._convoys: dict[Home, Convoy[ScriptCall, bytes]] = {}

    async def carry(self, call: ScriptCall, *, items: int) -> bytes:
        """Returns what the script answered; raises Overloaded when nobody knows whether it ran."""
        home = self._connections.home_of(call.keys[0])
        if home is None:
            return await self._run(call)
        try:
            return await self._convoy_to(home).carry(call, items)
        except ResponseError:
            # A server that has no such script, or no longer the lane, changed nothing when it said so.
            return await self._run(call)

    def _convoy_to(self, home: Home) -> Convoy[ScriptCall, bytes]:
        convoy = self._convoys.get(home)
        if convoy is None:
            if len(self._convoys) >= CONVOYS_MAX:
                # Calls under way end by themselves.
                self._convoys.clear()
            convoy = Convoy(partial(self._send, home), size_max=ITEMS_MAX, under_way_max=LOADS_AT_ONCE_MAX)
            self._convoys[home] = convoy
        return convoy

    async def _send(self, home: Home, calls: Sequence[ScriptCall]) -> list[bytes | Exception]:
        async with self._connections.lend_at(home) as lent:
            return await lent.call_all([call.command(lent.run_id) for call in calls])
