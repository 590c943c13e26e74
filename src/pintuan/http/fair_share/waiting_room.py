"""The places of one class of calls, and who waits for one.

Addresses take turns: one that sends a thousand calls at once waits for its own, and one with a single call
comes next. The queue is bounded, in all and for each address.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from pintuan.base.errors import Overloaded, RateLimited
from pintuan.http.fair_share.limits import RETRY_AFTER_S, WAIT_S_MAX, WAITING_MAX, WAITING_PER_ADDRESS_MAX


class WaitingRoom:
    """`places` calls are worked on at once; the others wait. Belongs to one event loop."""

    def __init__(
        self,
        places: int,
        *,
        waiting_max: int = WAITING_MAX,
        waiting_per_address_max: int = WAITING_PER_ADDRESS_MAX,
    ) -> None:
        self._free = places
        self._waiting_max = waiting_max
        self._waiting_per_address_max = waiting_per_address_max
        # Addresses in the order of their turns, each with its calls in the order in which they came.
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self.waiting = 0
        # The calls that gave their places to others while they wait for their clients.
        self.aside = 0

    def try_enter(self) -> bool:
        """Takes a place that is free; nobody is passed by, for where somebody waits none is."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def enter(self, address: str, *, wait_s: float = WAIT_S_MAX) -> None:
        """Waits for a place.

        Raises:
            RateLimited: enough calls of this address are waiting.
            Overloaded: enough calls are waiting in all, or none of the places got free in time.
        """
        if self.try_enter():
            return
        if self.waiting >= self._waiting_max:
            raise Overloaded("too many calls of this kind are waiting", retry_after_s=RETRY_AFTER_S)
        queue = self._queues.get(address)
        if queue is not None and len(queue) >= self._waiting_per_address_max:
            raise RateLimited("Too many calls from this network are waiting.", retry_after_s=RETRY_AFTER_S)
        if queue is None:
            queue = self._queues[address] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self.waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except BaseException as error:
            # A turn that came in the same moment goes to the next.
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                self._forget(address, turn)
            if isinstance(error, TimeoutError):
                raise Overloaded("others were worked on for too long", retry_after_s=RETRY_AFTER_S) from error
            raise

    def leave(self) -> None:
        """Gives a place to the call that waited longest at the address whose turn it is, or keeps it free."""
        while self._queues:
            address, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            self.waiting -= 1
            if queue:
                self._queues[address] = queue
            # A call that was given up this moment is still here.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, address: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(address)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        self.waiting -= 1
        if not queue:
            del self._queues[address]
