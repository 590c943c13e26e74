"""The jobs of payments: carrying out operations that are due, and showing how many are not over."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from pintuan.base.events.jobs import SOON_S
from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.telemetry.metrics import note_sweep
from pintuan.money.payments.gateways import open_gateway, rules_of
from pintuan.money.payments.operations import CALLS_IN_FLIGHT_MAX, PaymentExecutor
from pintuan.money.payments.traced import TracedGateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    import asyncpg

    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources
    from pintuan.money.payments.gateway import Gateway
    from pintuan.money.payments.recording import Recorded


class Jobs(NounJobs):
    """Makes payments, and asks at once for the work that follows.

    The gateway gets at most `calls_in_flight_max` calls of this process at once. `tell_changed` is told which
    groups recorded payments changed.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        gateway: Gateway,
        asks: Asks,
        *,
        tell_changed: Callable[[Iterable[str]], None],
        calls_in_flight_max: int = CALLS_IN_FLIGHT_MAX,
    ) -> None:
        self._executor = PaymentExecutor(
            pool,
            gateway,
            on_recorded=self._recorded,
            calls_in_flight_max=calls_in_flight_max,
            on_look=partial(note_sweep, "payments"),
        )
        self._tell_changed = tell_changed
        self._ask_for_groups = asks.asker("lifecycle")
        self._ask_for_seats = asks.asker("seats")
        self._ask_for_events = asks.asker("events")

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:
        """Opens them and the gateway of the settings for the life of the block."""
        async with open_gateway(process.settings, process.pool) as opened:
            yield cls(
                process.pool,
                opened if process.tracing is None else TracedGateway(opened, process.tracing),
                asks,
                tell_changed=process.signals.tell,
                calls_in_flight_max=rules_of(process.settings).calls_at_once_max,
            )

    def stop(self) -> None:
        """Takes no more payments; those on their way are still recorded."""
        self._executor.stop()

    # The executor itself merges drains. In passes, new work would wait for one slow call.
    @job("payments", every_s=1, has_doorbell=True, in_passes=False)
    async def drain(self) -> None:
        """Carries out payment operations that are due."""
        await self._executor.drain()

    @job("samples", every_s=5)
    async def sample(self) -> None:
        """Shows how many payment operations have not ended."""
        await self._executor.sample()

    def _recorded(self, recorded: Recorded) -> None:
        self._tell_changed(recorded.groups)
        if recorded.operations:
            self._ask_for_groups()
            self._ask_for_events.after(SOON_S)
        if recorded.seats_ended:
            self._ask_for_seats()
