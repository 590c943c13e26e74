"""The jobs of notifications: delivering messages, and forgetting old ones."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.people.notifications.channels import notifiers_of
from pintuan.people.notifications.courier import Courier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

MESSAGES_PER_ROUND: Final = 1_000


class Jobs(NounJobs):
    """Messages leave as soon as they are due and a place is free."""

    def __init__(self, courier: Courier, asks: Asks) -> None:
        self._courier = courier
        # A message without a place now is started when another has ended.
        courier.on_ended = asks.asker("notifications")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them and their channels for the life of the block; messages on their way may then arrive."""
        settings = process.settings
        notifiers = notifiers_of(settings, process.resolver, now_s=process.clock.now_s)
        courier = Courier(process.pool, process.keyring, notifiers, keeps_readable=settings.env == "dev")
        try:
            yield cls(courier, asks)
        finally:
            await courier.close()

    @job("notifications", every_s=1, has_doorbell=True)
    async def deliver(self) -> None:
        """Starts delivering what is due."""
        await self._courier.start_due()

    @job("notification tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Wipes and forgets old messages."""
        await until_nothing_left(self._courier.tidy, MESSAGES_PER_ROUND)
