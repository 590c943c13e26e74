"""Gathers calls that arrive while the sandbox's books are busy, so that they are written down together.

One statement for a hundred calls costs a fraction of a hundred statements. A pretended bank should not take
the machine away from the product being tried out with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from pintuan.money.payments.gateway import Answer, GatewayError, GatewayUnavailable

BATCH_SIZE_MAX: Final = 256
CALLS_WAITING_MAX: Final = 4096


class Call(Protocol):
    """The common part of every call."""

    @property
    def reference(self) -> str:
        """Our own name of the payment."""
        ...


C = TypeVar("C", bound=Call)
Entry: TypeAlias = Answer | GatewayError


class Batches(Generic[C]):
    """Passes calls to `book` in batches, one at a time; `book` answers in order, with errors as values."""

    def __init__(self, book: Callable[[Sequence[C]], Awaitable[Sequence[Entry]]]) -> None:
        self._book = book
        self._waiting: deque[tuple[C, asyncio.Future[Entry]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, call: C) -> Answer:
        """Returns the call's answer. A caller that is cancelled leaves its call in the batch.

        Raises:
            GatewayError: what `book` answered, or GatewayUnavailable when too many calls wait.
        """
        if len(self._waiting) >= CALLS_WAITING_MAX:
            raise GatewayUnavailable("too many calls wait for the sandbox")
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="sandbox batches")
        entry = await future
        if isinstance(entry, GatewayError):
            raise entry
        return entry

    async def _write(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                entries = await self._book([call for call, _ in batch])
            except Exception as error:  # noqa: BLE001 - nothing is swallowed: every caller of the batch raises it.
                _fail(batch, error)
                continue
            for (_, future), entry in zip(batch, entries, strict=True):
                if not future.done():
                    future.set_result(entry)

    def _take(self) -> list[tuple[C, asyncio.Future[Entry]]]:
        """Takes calls in order, at most one about each payment: a second depends on what the first does."""
        batch: list[tuple[C, asyncio.Future[Entry]]] = []
        references: set[str] = set()
        for _ in range(len(self._waiting)):
            call, future = self._waiting.popleft()
            if len(batch) < BATCH_SIZE_MAX and call.reference not in references:
                references.add(call.reference)
                batch.append((call, future))
            else:
                self._waiting.append((call, future))
        return batch


def _fail(batch: list[tuple[C, asyncio.Future[Entry]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
