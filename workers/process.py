"""One worker process: what it does by its own clock, what doorbells ask for, and how it ends.

Nothing here ends because a store went away after the start: sweeps that meet an outage are repeated by the
next ones, and the queue is only listened to (`rings`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pintuan.base.stores.doorbells import Doorbell, open_queue
from pintuan.bootstrap import open_resources
from pintuan.money.payments.gateways import open_gateway, rules_of
from pintuan.money.payments.traced import TracedGateway
from pintuan.people.notifications.channels import notifiers_of
from pintuan.people.notifications.courier import Courier
from pintuan.people.personal.erasures import Eraser
from pintuan.reach.nudges.service import Nudger
from workers.clock import Clock, Sweep
from workers.jobs import Jobs, Stores
from workers.people import People
from workers.rings import Rings
from workers.turns import in_turns
from workers.webhooks import Webhooks

if TYPE_CHECKING:
    from pintuan.base.process import Resources
    from pintuan.base.settings.settings import Settings
    from workers.clock import Job

# Longer than a call to a gateway may take, shorter than a supervisor waits before it kills.
STOP_WAIT_S: Final = 7
DAY_MS: Final = 24 * 3_600_000
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def run(settings: Settings, *, working: Callable[[], None] = lambda: None) -> None:
    """Works until SIGTERM or SIGINT, then finishes what is under way within `STOP_WAIT_S`.

    `working` is called once the stores are open and sweeps are about to begin.

    Raises:
        SettingsError: a URL is missing or cannot be used.
        OSError, asyncpg.PostgresError, redis.exceptions.RedisError: a store cannot be reached at the start.
    """
    async with (
        open_resources(settings, application_name="pintuan-worker") as resources,
        open_queue(settings) as queue,
        open_gateway(settings, resources.pool) as opened,
    ):
        gateway = opened if resources.tracing is None else TracedGateway(opened, resources.tracing)
        stores = Stores(
            resources.pool,
            resources.engine,
            gateway,
            resources.signals.tell,
            calls_in_flight_max=rules_of(settings).calls_at_once_max,
            archive_after_ms=settings.archive_after_days * DAY_MS or None,
        )
        jobs = Jobs(stores)
        people = _people_of(resources)
        webhooks = Webhooks(resources)
        jobs.second_tries.add(people.second_tries() | webhooks.second_tries())
        try:
            clock = Clock(in_turns(resources.pool, sweeps_of(jobs, people, webhooks)))
            rings = Rings(queue, answers_of(jobs, people, webhooks), resources.tracing)
            working()
            await _work(clock, rings, jobs)
        finally:
            await jobs.close()
            await people.close()
            await webhooks.close()


def _people_of(resources: Resources) -> People:
    settings = resources.settings
    notifiers = notifiers_of(settings, resources.resolver, now_s=resources.clock.now_s)
    courier = Courier(resources.pool, resources.keyring, notifiers, keeps_readable=settings.env == "dev")
    nudger = Nudger(resources.pool, resources.keyring, settings)
    eraser = Eraser(resources.pool, resources.engine)
    return People(resources.pool, resources.keyring, courier, nudger, eraser)


def answers_of(jobs: Jobs, people: People, webhooks: Webhooks) -> dict[Doorbell, Job]:
    """What doorbells ask for."""
    return {
        "payments": jobs.drain_payments,
        "lifecycle": jobs.lifecycle.run,
        "seats": jobs.seats.run,
        "notifications": people.notifications.run,
        "webhooks": webhooks.deliveries.run,
    }


def sweeps_of(jobs: Jobs, people: People, webhooks: Webhooks) -> list[Sweep]:
    """What is done without being asked for."""
    return [
        Sweep("payments", jobs.drain_payments, every_s=1),
        Sweep("lifecycle", jobs.lifecycle.run, every_s=1),
        Sweep("expiry", jobs.expiry.run, every_s=1),
        Sweep("seats", jobs.seats.run, every_s=1),
        Sweep("stock", jobs.stock.run, every_s=1, one_for_all=True),
        Sweep("setbacks", jobs.setbacks.run, every_s=1),
        Sweep("nudges", people.nudges.run, every_s=1),
        Sweep("notifications", people.notifications.run, every_s=1),
        Sweep("webhooks", webhooks.deliveries.run, every_s=1),
        Sweep("erasures", people.erasures.run, every_s=1),
        Sweep("orphans", jobs.orphans.run, every_s=5, one_for_all=True),
        Sweep("samples", jobs.sample_payments, every_s=5),
        Sweep("webhook samples", webhooks.sample, every_s=5),
        Sweep("archive", jobs.archive.run, every_s=20, one_for_all=True),
        # Each minute, because a pass is bounded, and to forget a busy hour takes more than one.
        Sweep("keys", jobs.keys.run, every_s=60, one_for_all=True),
        Sweep("tidying", people.tidying.run, every_s=60, one_for_all=True),
        Sweep("webhook tidying", webhooks.tidying.run, every_s=60, one_for_all=True),
    ]


async def _work(clock: Clock, rings: Rings, jobs: Jobs) -> None:
    """Sweeps and answers rings until a stop signal, then lets what has begun come to its end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    clock.start()
    listening = asyncio.create_task(rings.listen(), name="rings")
    try:
        await stopping.wait()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        clock.stop()
        jobs.stop()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await _finish(clock.under_way | rings.under_way)


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Lets the tasks end, and cancels those that do not in time."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=STOP_WAIT_S)
    for task in late:
        task.cancel()
    # None of them raises: what goes wrong in a job is reported where it ends.
    await asyncio.gather(*late, return_exceptions=True)
