"""Delivers what is due.

A message is taken under a lease before it leaves, and its taking counts as an attempt. So a worker that dies
between sending and recording repeats the message once its lease is over, and never more than `ATTEMPTS_MAX`
times in all: at least once where that is possible, and not for ever.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from groups.setbacks import Setbacks
from pintuan.base.telemetry.metrics import NOTIFICATIONS
from pintuan.people.notifications import store
from pintuan.people.notifications.channels import DeliveryFailed, UnknownRecipient
from pintuan.people.notifications.service import replace, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.people.contacts.channels import Channel
    from pintuan.people.notifications.channels import Notifier
    from pintuan.people.notifications.message import Message
    from pintuan.people.notifications.store import Ending, Taken

ATTEMPTS_MAX: Final = 6
# Longer than a delivery may take, so that nobody else takes a message on its way.
LEASE_MS: Final = 30_000
# Between attempts: 2 s, 4 s, 8 s, … and jitter.
RETRY_MIN_MS: Final = 2_000
RETRY_MAX_MS: Final = 60_000
# How long a developer can read what was delivered.
READABLE_MS: Final = 3_600_000
# How long it is known that a message was sent.
KEPT_MS: Final = 30 * 24 * 3_600_000

_logger = structlog.get_logger("pintuan.people.notifications")


class Courier:
    """Takes due messages and hands them to their channels; any number of processes may have one."""

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

    async def deliver_due(self, limit: int) -> int:
        """Delivers up to `limit` messages at once; returns how many were taken.

        A message whose outcome could not be recorded is repeated, ever less often.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres is away.
        """
        taken = await store.take_due(self._pool, limit=limit, lease_ms=LEASE_MS)
        outcomes = await asyncio.gather(*(self._deliver(one) for one in taken), return_exceptions=True)
        await self._setbacks.note(
            {
                one.id: outcome
                for one, outcome in zip(taken, outcomes, strict=True)
                if isinstance(outcome, Exception)
            }
        )
        return len(taken)

    async def tidy(self, limit: int) -> int:
        """Wipes and forgets up to `limit` old messages each; returns how many of both."""
        wiped = await store.wipe(self._pool, readable_ms=READABLE_MS, limit=limit)
        return wiped + await store.purge(self._pool, age_ms=KEPT_MS, limit=limit)

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
            await notifier.deliver(message)
        except UnknownRecipient as unknown:
            await self._send_instead(taken, message, unknown.reason)
        except DeliveryFailed as failed:
            if failed.permanent or taken.attempts >= ATTEMPTS_MAX:
                await self._end(taken, "failed", failed.reason)
            else:
                await self._try_later(taken, failed.reason)
        else:
            await self._end(taken, "sent", None)

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
