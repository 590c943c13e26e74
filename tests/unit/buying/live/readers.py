"""The server's side of a response, in place of a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reader:
    """What a client got; while `open` is cleared it reads nothing, and sends wait."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()

    async def send(self, message: Any) -> None:
        await self.open.wait()
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.gone.set()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def states(self) -> list[str]:
        """The tags of the states it got."""
        return [line.removeprefix("id: ") for line in self.text.splitlines() if line.startswith("id: ")]


async def settle() -> None:
    """Lets every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)
