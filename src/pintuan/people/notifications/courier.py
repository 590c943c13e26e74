"""Delivers what is due.

A message is taken under a lease before it leaves, and its taking counts as an attempt. A worker that dies
between sending and recording repeats the message once its lease is over, at most `ATTEMPTS_MAX` times in all.
Delivery is at least once where possible, and not for ever.

Messages that somebody waits for, such as sign-in codes, have places of their own in each channel; unrequested
ones have others. A place is filled again as soon as its message has ended. The end of a flash sale therefore
delays no code, and a slow provider delays no other channel. Within the others each merchant has a part of the
places only, and merchants take turns.

Awaited messages go to many destinations, and a provider may be slow for one of them. A destination gets a
further place only while it has no more than would be left for others. One alone has half of them, two a third
each, and there is room for the next.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, get_args

import msgspec
import structlog

from groups.setbacks import STORE_AWAY, Setbacks
from pintuan.people.contacts.channels import Channel
from pintuan.people.notifications import store
from pintuan.people.notifications.channels import DELIVERY_TIMEOUT_S, DeliveryFailed, UnknownRecipient
from pintuan.people.notifications.metrics import NOTIFICATIONS
from pintuan.people.notifications.service import replace, unseal
from pintuan.people.notifications.store import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.people.notifications.channels import Notifier
    from pintuan.people.notifications.message import Message
    from pintuan.people.notifications.store import Ending, Taken

# The messages on their way at once from one process by one channel: awaited ones, and unrequested ones.
AWAITED_PER_CHANNEL_MAX: Final = 32
UNASKED_PER_CHANNEL_MAX: Final = 32
# The unrequested ones about the sales of one merchant.
PER_SENDER_MAX: Final = 16
# A channel that forgets its own bound keeps no place for ever.
GIVEN_UP_S: Final = 2 * DELIVERY_TIMEOUT_S
# Less than the time a stopping worker has left; a message cut off is sent again when its lease is over.
CLOSE_WAIT_S: Final = 3.0
ATTEMPTS_MAX: Final = 6
# Longer than a delivery may take, so that nobody else takes a message on its way.
LEASE_MS: Final = 30_000
# Between attempts: 2 s, 4 s, 8 s, … and jitter.
RETRY_MIN_MS: Final = 2_000
RETRY_MAX_MS: Final = 60_000
# The time for which a developer can read a delivered message.
READABLE_MS: Final = 3_600_000
# The time for which the sending of a message is on record.
KEPT_MS: Final = 30 * 24 * 3_600_000

_logger = structlog.get_logger("pintuan.people.notifications")


class Courier:
    """Takes due messages and hands them to their channels; any number of processes may have one.

    `on_ended` is called whenever a message made room for another.
    """

    on_ended: Callable[[], None]

    def __init__(
        self,
        pool: asyncpg.Pool,
        keyring: Keyring,
        notifiers: Mapping[Channel, Notifier],
        *,
        keeps_readable: bool,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._notifiers = notifiers
        self._keeps_readable = keeps_readable
        self._setbacks = Setbacks(pool, "notifications")
        self._under_way: dict[asyncio.Task[None], Taken] = {}
        self.on_ended = lambda: None

    async def start_due(self) -> int:
        """Takes what is due and there is room for, and starts delivering it; returns how much it took.

        A message whose outcome could not be recorded is repeated, ever less often. Calls must not overlap.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres is away.
        """
        under_way = self._under_way.values()
        taken = await store.take_due(
            self._pool,
            self._rooms(),
            Counter((one.channel, one.sender) for one in under_way if not one.awaited),
            awaited_under_way=Counter((one.channel, one.destination) for one in under_way if one.awaited),
            per_sender=PER_SENDER_MAX,
            lease_ms=LEASE_MS,
        )
        for one in taken:
            task = asyncio.create_task(self._try(one), name=f"notification {one.id}")
            self._under_way[task] = one
            task.add_done_callback(self._ended)
        return len(taken)

    async def finish(self) -> None:
        """Waits for all that is on its way."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    async def close(self) -> None:
        """Lets what is on its way arrive for `CLOSE_WAIT_S`, and cuts the rest off."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(set(self._under_way), timeout=CLOSE_WAIT_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def tidy(self, limit: int) -> int:
        """Wipes and forgets up to `limit` old messages each; returns how many of both."""
        wiped = await store.wipe(self._pool, readable_ms=READABLE_MS, limit=limit)
        return wiped + await store.purge(self._pool, age_ms=KEPT_MS, limit=limit)

    def _rooms(self) -> list[Room]:
        counts = Counter((one.channel, one.awaited) for one in self._under_way.values())
        return [
            Room(
                channel,
                awaited=AWAITED_PER_CHANNEL_MAX - counts[channel, True],
                unasked=UNASKED_PER_CHANNEL_MAX - counts[channel, False],
            )
            for channel in get_args(Channel)
        ]

    async def _try(self, taken: Taken) -> None:
        try:
            await self._deliver(taken)
        except STORE_AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - it is noted; after its lease and its pause it is sent again.
            await self._setbacks.note({taken.id: error})

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # It may have arrived; once its lease is over it is sent again.
            _logger.error("notification not recorded", task=task.get_name(), error=repr(error))
        self.on_ended()

    async def _deliver(self, taken: Taken) -> None:
        message = unseal(self._keyring, taken.sealed)
        if message is not None:
            message = msgspec.structs.replace(message, id=taken.id, kind=taken.kind)
        notifier = self._notifiers.get(taken.channel)
        if taken.outlived:
            await self._end(taken, "expired", "delivered too late to be of use")
        elif taken.attempts > ATTEMPTS_MAX:
            await self._end(taken, "failed", "every attempt ended without an answer")
        elif message is None:
            await self._end(taken, "failed", "no accepted key opens it")
        elif notifier is None:
            await self._end(taken, "failed", "the channel is not set up")
        else:
            await self._hand_over(taken, message, notifier)

    async def _hand_over(self, taken: Taken, message: Message, notifier: Notifier) -> None:
        try:
            await self._ask(notifier, message)
        except UnknownRecipient as unknown:
            await self._send_instead(taken, message, unknown.reason)
        except DeliveryFailed as failed:
            if failed.permanent or taken.attempts >= ATTEMPTS_MAX:
                await self._end(taken, "failed", failed.reason)
            else:
                await self._try_later(taken, failed.reason)
        else:
            await self._end(taken, "sent", None)

    async def _ask(self, notifier: Notifier, message: Message) -> None:
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                await notifier.deliver(message)
        except TimeoutError:
            raise DeliveryFailed("no answer in time") from None

    async def _send_instead(self, taken: Taken, message: Message, reason: str) -> None:
        if message.instead is None:
            await self._end(taken, "failed", reason)
            return
        await replace(self._pool, self._keyring, taken, message.instead, reason, keep=self._keeps_readable)
        NOTIFICATIONS.labels(taken.channel, "replaced").inc()

    async def _end(self, taken: Taken, state: Ending, failure: str | None) -> None:
        await store.end(self._pool, taken, state, failure, keep=self._keeps_readable)
        NOTIFICATIONS.labels(taken.channel, state).inc()
        if failure is not None:
            _logger.warning("notification not delivered", id=taken.id, channel=taken.channel, reason=failure)

    async def _try_later(self, taken: Taken, failure: str) -> None:
        delay_ms = min(RETRY_MIN_MS * 2 ** (taken.attempts - 1), RETRY_MAX_MS)
        delay_ms = round(delay_ms * random.uniform(0.75, 1.25))  # noqa: S311 - jitter only
        await store.postpone(self._pool, taken, delay_ms=delay_ms, failure=failure)
        NOTIFICATIONS.labels(taken.channel, "retried").inc()
