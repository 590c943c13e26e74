"""Where the show is seen: a live view on a terminal, one plain line for each event anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.live import Live

from pintuan.running.demo.board import Event, Snapshot
from pintuan.running.demo.view import event_line, frame

FRAME_INTERVAL_S: Final = 0.2
"""Five frames a second."""


def is_live(console: Console) -> bool:
    """Says whether the console can be drawn on again and again."""
    return console.is_terminal and not console.is_dumb_terminal


def event_printer(console: Console) -> Callable[[Event], None]:
    """Returns what prints an event where nothing is drawn, and does nothing where the view shows it."""
    if is_live(console):
        return lambda _event: None
    return lambda event: console.print(event_line(event), soft_wrap=True)


@asynccontextmanager
async def drawn(console: Console, snapshot: Callable[[], Snapshot]) -> AsyncIterator[None]:
    """Draws the snapshots for the life of the block, and wipes the view away afterwards."""
    if not is_live(console):
        yield
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        drawing = asyncio.create_task(_draw(live, console, snapshot), name="drawing")
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)


async def _draw(live: Live, console: Console, snapshot: Callable[[], Snapshot]) -> None:
    while True:
        live.update(frame(snapshot(), width=console.width, height=console.height), refresh=True)
        await asyncio.sleep(FRAME_INTERVAL_S)
