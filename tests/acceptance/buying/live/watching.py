"""A page that follows a group: reads server-sent events as WHATWG HTML section 9.2 has them parsed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

EVENT_S_MAX = 20.0


@dataclass(frozen=True)
class Event:
    """One dispatched event."""

    name: str
    id: str
    group: dict[str, Any]


@dataclass
class Watching:
    """An open stream; `comments` and `retries_ms` were read on the way to the events taken so far."""

    response: httpx.Response
    comments: list[str] = field(default_factory=list)
    retries_ms: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = self.response.aiter_lines()

    async def next(self) -> Event:
        """The next event; raises StopAsyncIteration when the response ended before one came."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(EVENT_S_MAX):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if not name and value:
                    self.comments.append(value)
                elif name == "retry":
                    self.retries_ms.append(int(value))
                elif line:
                    assert name in ("event", "id", "data"), line
                    fields[name] = value
                elif fields:
                    event = Event(fields["event"], fields["id"], json.loads(fields["data"]))
                    self.events.append(event)
                    return event

    async def group(self, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next state of the group for which this holds."""
        while True:
            event = await self.next()
            assert event.name == "group"
            if holds(event.group):
                return event.group

    async def ended(self) -> list[dict[str, Any]]:
        """The states that still come before the response ends."""
        groups = []
        try:
            while True:
                groups.append((await self.next()).group)
        except StopAsyncIteration:
            return groups


@asynccontextmanager
async def watching(
    api: httpx.AsyncClient, group: str, headers: dict[str, str] | None = None
) -> AsyncIterator[Watching]:
    """Follows a group for the life of the block."""
    path = f"/v1/groups/{group}/events"
    async with api.stream("GET", path, headers=headers, timeout=EVENT_S_MAX) as opened:
        assert opened.status_code == 200, (await opened.aread()).decode()
        assert opened.headers["content-type"] == "text/event-stream"
        assert opened.headers["cache-control"] == "no-store"
        assert opened.headers["x-accel-buffering"] == "no"
        yield Watching(opened)
