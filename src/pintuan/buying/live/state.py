"""The state of live in a process that answers calls: the hub that shows groups, and the admission of
watchers.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from pintuan.base.stores.shares import Share
from pintuan.base.stores.signals import listen
from pintuan.buying.groups.service import read_groups
from pintuan.buying.live.admission import Admission
from pintuan.buying.live.hub import Hub, Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from pintuan.base.draining import Draining
    from pintuan.base.process import Resources

PACE: Final = Pace()
# A cancelled task that waits for a failing socket is not waited for longer than this.
END_S: Final = 3.0

_logger = structlog.get_logger("pintuan.buying.live")


@dataclass(frozen=True, slots=True)
class Live:
    """The hub and who may watch."""

    hub: Hub
    admission: Admission


@asynccontextmanager
async def open_state(process: Resources) -> AsyncIterator[Live]:
    """Shows groups for the life of the block; streams end when it does, or when draining begins."""
    settings = process.settings
    read = partial(read_groups, process.pools[Share.READS], share_base=settings.share_base)
    hub = Hub(read, pace=PACE)
    tasks = [
        _start(hub.look_in_rounds(), "live rounds"),
        _start(hub.sweep_now_and_then(), "live sweep"),
        _start(hub.keep_alive(), "live heartbeats"),
        _start(listen(settings, on_changed=hub.changed, on_listening=hub.sweep), "live signals"),
        _start(_drain_when(process.draining, hub), "live drain"),
    ]
    try:
        yield Live(hub, Admission(per_address_max=settings.streams_per_address))
    finally:
        hub.drain()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_S)


async def _drain_when(draining: Draining, hub: Hub) -> None:
    await draining.wait()
    hub.drain()


def _start(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    """None of these tasks ends by itself unless something is wrong that nobody foresaw."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("live task ended", task=task.get_name(), exc_info=error)
