"""Change signals: which groups a commit changed, told to every API process by Redis pub/sub.

A signal carries ids and says "look in Postgres", never what changed. It may get lost: the hub's sweep finds
what no signal told of. Telling a signal therefore never fails its caller and never makes it wait.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from redis.exceptions import RedisError

from pintuan.base.stores.doorbells import open_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from arq.connections import ArqRedis

    from pintuan.base.settings.settings import Settings

CHANNEL: Final = "pintuan:groups:changed"
# The signals of a process that come within this time leave in one message.
SIGNAL_GAP_S: Final = 0.05
# Groups a message may name, some 80 KiB; the sweep finds those beyond.
PENDING_MAX: Final = 2_000
# The longest wait for a message before the connection is checked.
LISTEN_S: Final = 5.0
LISTEN_AGAIN_S: Final = 0.5
CARRIER_END_S: Final = 3.0
_SEPARATOR: Final = "\n"

_logger = structlog.get_logger("pintuan.buying.live")


class ChangeSignals:
    """Tells from one process; signals told while a message is on its way go with the next one."""

    def __init__(self, queue: ArqRedis) -> None:
        self._queue = queue
        self._pending: set[str] = set()
        self._told = asyncio.Event()
        self._failing = False

    def tell(self, group_ids: Iterable[str]) -> None:
        """Says that these groups changed; returns at once and never raises."""
        for group_id in group_ids:
            if len(self._pending) >= PENDING_MAX:
                break
            self._pending.add(group_id)
        if self._pending:
            self._told.set()

    async def carry(self) -> None:
        """Carries what is told to Redis until it is cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            group_ids, self._pending = self._pending, set()
            await self._publish(group_ids)
            await asyncio.sleep(SIGNAL_GAP_S)

    async def _publish(self, group_ids: set[str]) -> None:
        try:
            await self._queue.publish(CHANNEL, _SEPARATOR.join(group_ids))
        except (RedisError, OSError) as error:
            if not self._failing:
                _logger.warning("changes not signalled; the sweep finds them", error=repr(error))
            self._failing = True
        else:
            self._failing = False


@asynccontextmanager
async def open_signals(settings: Settings) -> AsyncIterator[ChangeSignals]:
    """Opens this process' side of telling for the life of the block; it connects at the first signal.

    Raises:
        SettingsError: no queue can be used.
    """
    async with open_queue(settings) as queue:
        signals = ChangeSignals(queue)
        carrier = asyncio.create_task(signals.carry(), name="change signals")
        try:
            yield signals
        finally:
            carrier.cancel()
            # A cancellation that meets a failing socket can get lost on the way; nobody waits for it long.
            await asyncio.wait([carrier], timeout=CARRIER_END_S)


async def listen(
    settings: Settings, *, on_changed: Callable[[list[str]], None], on_listening: Callable[[], None]
) -> None:
    """Calls `on_changed` with the ids of every signal until it is cancelled.

    `on_listening` is called whenever the connection was made, the first time and again: earlier signals went
    unheard.
    """
    failing = False
    async with open_queue(settings) as queue:
        while True:
            try:
                async with queue.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    while True:
                        message = await subscription.get_message(timeout=LISTEN_S)
                        if message is None:
                            continue
                        if message["type"] == "subscribe":
                            failing = False
                            on_listening()
                        elif message["type"] == "message":
                            on_changed(message["data"].decode(errors="replace").split(_SEPARATOR))
            except (RedisError, OSError) as error:
                if not failing:
                    _logger.warning("signals not heard; the sweep finds changes", error=repr(error))
                failing = True
            await asyncio.sleep(LISTEN_AGAIN_S)
