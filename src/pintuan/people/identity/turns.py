"""Calls about one contact come one after another within a process, before they take a connection.

Each of them locks the contact's rows. Many at once would all hold a connection, and all but one of them only
to wait for the lock.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from pintuan.base.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TURN_WAIT_S: Final = 3.0


class Turns:
    """Its memory is bounded by the calls that wait, and those are few (`pintuan.http.fair_share`)."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, contact_digest: bytes) -> AsyncIterator[None]:
        """Waits until no other call about the contact is under way here.

        Raises:
            Overloaded: the others took too long.
        """
        lock = self._locks.get(contact_digest)
        if lock is None:
            lock = self._locks[contact_digest] = asyncio.Lock()
        try:
            async with asyncio.timeout(TURN_WAIT_S):
                await lock.acquire()
        except TimeoutError as error:
            raise Overloaded("others are signing in with this address") from error
        try:
            yield
        finally:
            lock.release()
