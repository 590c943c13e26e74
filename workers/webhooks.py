"""The jobs that tell merchants' systems what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.jobs.passes import Passes, until_nothing_left
from pintuan.base.outgoing.sending import Sender
from pintuan.selling.webhooks.courier import EVENTS_PER_ROUND, WebhookCourier

if TYPE_CHECKING:
    from groups.setbacks import Work
    from pintuan.base.process import Resources

ROWS_PER_ROUND: Final = 1_000
SECRETS_PER_ROUND: Final = 100


class Webhooks:
    """The work of one process for webhooks, each kind in passes that do not overlap."""

    def __init__(self, resources: Resources) -> None:
        settings = resources.settings
        self.deliveries = Passes("webhooks", self._deliver)
        self.tidying = Passes("webhooks tidying", self._tidy)
        self._courier = WebhookCourier(
            resources.pool,
            resources.keyring,
            Sender(resources.resolver, allows_loopback=settings.env == "dev"),
            share_base=settings.share_base,
            now_s=resources.clock.now_s,
            on_ended=self.deliveries.ask,
        )

    async def sample(self) -> None:
        """Shows for how long what waits longest has waited."""
        await self._courier.measure()

    def second_tries(self) -> dict[str, Work]:
        """Returns how events are tried again that could not be made deliveries."""
        return self._courier.second_tries()

    async def finish(self) -> None:
        """Waits for all that is on its way."""
        await self._courier.finish()

    async def close(self) -> None:
        """Starts nothing more; what is on its way has a moment to arrive."""
        await self.deliveries.close()
        await self.tidying.close()
        await self._courier.close()

    async def _deliver(self) -> None:
        await until_nothing_left(self._courier.fan_out, EVENTS_PER_ROUND)
        # What there is no room for now is started when something has ended: `on_ended` asks for a pass.
        await self._courier.start_due()

    async def _tidy(self) -> None:
        await until_nothing_left(self._courier.tidy, ROWS_PER_ROUND)
        await until_nothing_left(self._courier.reseal, SECRETS_PER_ROUND)
