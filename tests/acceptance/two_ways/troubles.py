"""What may be wrong with the server while a call that is right comes to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final
from unittest.mock import patch

from pintuan.http.protocol.placement_gate import PlacementGate
from tests.acceptance.two_ways.states import Sale
from tests.interleaving import LOCK_LANE, holding

# Long enough for a call that is to be in the queue when time is up.
TIMEOUT_S: Final = 0.2
LOOK_EVERY_S: Final = 0.05

Trouble = Callable[[str, Sequence[PlacementGate], Sequence[Sale]], AbstractAsyncContextManager[None]]
TROUBLES: Final[dict[str, Trouble]] = {}


def trouble(begin: Trouble) -> Trouble:
    """Lists a trouble under the name of its function."""
    TROUBLES[getattr(begin, "__name__", "").replace("_", " ")] = begin
    return begin


@trouble
@asynccontextmanager
async def a_full_gate(
    _database_url: str, gates: Sequence[PlacementGate], _sales: Sequence[Sale]
) -> AsyncIterator[None]:
    """As many placing calls are under way as there may be."""
    with _crowded(gates):
        yield


@trouble
@asynccontextmanager
async def a_full_queue(
    _database_url: str, _gates: Sequence[PlacementGate], _sales: Sequence[Sale]
) -> AsyncIterator[None]:
    """As many wait for the lane as may."""
    with patch("groups.combiner.QUEUE_MAX", 0):
        yield


@trouble
@asynccontextmanager
async def a_store_that_takes_too_long(
    database_url: str, _gates: Sequence[PlacementGate], sales: Sequence[Sale]
) -> AsyncIterator[None]:
    """Somebody holds a lock that the batch waits for, for longer than a caller is kept waiting."""
    async with AsyncExitStack() as stack:
        for sale in sales:
            await stack.enter_async_context(holding(database_url, LOCK_LANE, sale.deal, 0))
        stack.enter_context(patch("pintuan.buying.orders.direct.PLACE_TIMEOUT_S", TIMEOUT_S))
        stack.enter_context(patch("pintuan.buying.orders.direct.LOOK_EVERY_S", LOOK_EVERY_S))
        stack.enter_context(patch("groups.desk.PLACE_TIMEOUT_S", TIMEOUT_S))
        yield


@contextmanager
def _crowded(gates: Sequence[PlacementGate]) -> Iterator[None]:
    before = [gate.in_flight for gate in gates]
    for gate in gates:
        gate.in_flight += 1_000_000
    try:
        yield
    finally:
        for gate, in_flight in zip(gates, before, strict=True):
            gate.in_flight = in_flight
