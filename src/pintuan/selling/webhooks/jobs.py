"""The jobs of webhooks: telling merchants' systems what happened, and forgetting what was told long ago."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.base.outgoing.sending import Sender
from pintuan.selling.webhooks.courier import WebhookCourier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

ROWS_PER_ROUND: Final = 1_000
SECRETS_PER_ROUND: Final = 100


class Jobs(NounJobs):
    """Deliveries leave as soon as they are due and a place is free."""

    def __init__(self, courier: WebhookCourier) -> None:
        self._courier = courier

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them for the life of the block; deliveries on their way have a moment to arrive."""
        courier = WebhookCourier(
            process.pool,
            process.keyring,
            Sender(process.resolver, allows_loopback=process.settings.env == "dev"),
            share_base=process.settings.share_base,
            now_s=process.clock.now_s,
            # A delivery without a place now is started when another has ended.
            on_ended=asks.asker("webhooks"),
        )
        try:
            yield cls(courier)
        finally:
            await courier.close()

    @job("webhooks", every_s=1, has_doorbell=True)
    async def deliver(self) -> None:
        """Starts deliveries that are due."""
        await self._courier.start_due()

    @job("webhook samples", every_s=5)
    async def sample(self) -> None:
        """Shows for how long what waits longest has waited."""
        await self._courier.measure()

    @job("webhook tidying", every_s=60, one_for_all=True)
    async def tidy(self) -> None:
        """Forgets old events and secrets, and renews encryption."""
        await until_nothing_left(self._courier.tidy, ROWS_PER_ROUND)
        await until_nothing_left(self._courier.reseal, SECRETS_PER_ROUND)
