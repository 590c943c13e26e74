"""Calls of scripts that many lanes make at a time: those whose lanes are on one server are sent in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError, ResponseError

from groups.connections import Connections, Home
from groups.convoy import Convoy
from groups.errors import Overloaded
from groups.scripts import Script

ITEMS_MAX = 512
# Two, so that one is packed or read while Redis works on the other.
LOADS_AT_ONCE_MAX = 2


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
    """Sends calls; `run` makes one by itself, wherever its lane is by now, and with the script's text."""

    def __init__(self, connections: Connections, run: Run) -> None:
        self._connections = connections
        self._run = run
        self._convoy: Convoy[ScriptCall, bytes] = Convoy(
            self._send, size_max=ITEMS_MAX, under_way_max=LOADS_AT_ONCE_MAX
        )

    async def carry(self, call: ScriptCall, *, items: int) -> bytes:
        """Returns what the script answered; raises Overloaded when nobody knows whether it ran."""
        return await self._convoy.carry(call, items)

    async def _send(self, calls: Sequence[ScriptCall]) -> list[bytes | Exception]:
        positions: dict[Home | None, list[int]] = {}
        for position, call in enumerate(calls):
            positions.setdefault(self._connections.home_of(call.keys[0]), []).append(position)
        answers: list[bytes | Exception] = [Overloaded("the call was not sent")] * len(calls)

        async def send_to(home: Home | None, there: list[int]) -> None:
            found = await self._send_to(home, [calls[position] for position in there])
            for position, answer in zip(there, found, strict=True):
                answers[position] = answer

        await asyncio.gather(*(send_to(home, there) for home, there in positions.items()))
        return answers

    async def _send_to(self, home: Home | None, calls: Sequence[ScriptCall]) -> list[bytes | Exception]:
        if home is None or len(calls) == 1:
            return [await self._alone(call) for call in calls]
        try:
            async with self._connections.lend(calls[0].keys[0]) as lent:
                answers = await lent.call_all([call.command(lent.run_id) for call in calls])
        except Overloaded as error:
            return [error] * len(calls)
        # A server that has no such script, or no longer the lane, changed nothing when it said so.
        return [
            await self._alone(call) if isinstance(answer, ResponseError) else answer
            for call, answer in zip(calls, answers, strict=True)
        ]

    async def _alone(self, call: ScriptCall) -> bytes | Exception:
        try:
            return await self._run(call)
        except (Overloaded, RedisError) as error:
            return error
