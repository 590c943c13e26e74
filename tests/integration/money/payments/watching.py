"""A gateway that can be watched, held up and broken, and a way to wait for what an executor records."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pintuan.money.payments.gateway import Answer, AuthoriseCall, CaptureCall, Payment, RefundCall, VoidCall
from pintuan.money.payments.recording import Recorded
from pintuan.money.payments.sandbox.gateway import SandboxGateway

_Call = TypeVar("_Call", AuthoriseCall, CaptureCall, VoidCall, RefundCall)


@dataclass
class WatchedGateway:
    """Notes every key sent, holds up the payments in `blocked`, and raises what `broken` says instead."""

    sandbox: SandboxGateway
    blocked: dict[str, asyncio.Event] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    under_way: int = 0
    under_way_max: int = 0
    look_ups: list[str] = field(default_factory=list)
    look_up_error: Exception | None = None
    arrived: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    @property
    def authorisation_lifetime_ms(self) -> int:
        return self.sandbox.authorisation_lifetime_ms

    async def authorise(self, call: AuthoriseCall) -> Answer:
        return await self._send(call, self.sandbox.authorise)

    async def capture(self, call: CaptureCall) -> Answer:
        return await self._send(call, self.sandbox.capture)

    async def void(self, call: VoidCall) -> Answer:
        return await self._send(call, self.sandbox.void)

    async def refund(self, call: RefundCall) -> Answer:
        return await self._send(call, self.sandbox.refund)

    async def look_up(self, reference: str) -> Payment | None:
        self.look_ups.append(reference)
        if self.look_up_error is not None:
            raise self.look_up_error
        return await self.sandbox.look_up(reference)

    async def _send(self, call: _Call, pass_on: Callable[[_Call], Awaitable[Answer]]) -> Answer:
        self.keys[call.reference].append(call.idempotency_key)
        self.arrived[call.reference].set()
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            if call.reference in self.blocked:
                await self.blocked[call.reference].wait()
            if call.reference in self.broken:
                raise self.broken[call.reference]
            return await pass_on(call)
        finally:
            self.under_way -= 1


class Progress:
    """Listens to an executor, so that a test can wait for what it records."""

    def __init__(self) -> None:
        self.total = Recorded()
        self._news = asyncio.Event()

    def __call__(self, recorded: Recorded) -> None:
        self.total += recorded
        self._news.set()

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Returns once `holds` does; it is asked again after each record."""
        self._news.clear()
        while not await holds():
            await self._news.wait()
            self._news.clear()
