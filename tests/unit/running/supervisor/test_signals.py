"""SIGHUP replaces the children, unless it tells that the terminal is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pintuan.running.supervisor.signals import Signals

pytestmark = pytest.mark.anyio

# Waits under a terminal of its own, which its starter then closes; notes what it was asked.
UNDER_A_TERMINAL = """
import asyncio, os, pathlib, pty, sys
from pintuan.running.supervisor.signals import Signals

async def wait():
    signals = Signals()
    with signals.installed():
        os.write(1, b"waits")
        asked = {name: asyncio.create_task(getattr(signals, name).wait()) for name in ("stop", "roll")}
        await asyncio.wait(asked.values(), return_when=asyncio.FIRST_COMPLETED)
        pathlib.Path(sys.argv[1]).write_text(",".join(name for name, task in asked.items() if task.done()))
        for task in asked.values():
            task.cancel()

child, terminal = pty.fork()
if child == 0:
    asyncio.run(wait())
    os._exit(0)
os.read(terminal, 5)
os.close(terminal)
os.waitpid(child, 0)
"""


async def test_a_hangup_asks_for_new_children_and_a_stop_signal_for_the_end() -> None:
    signals = Signals()
    with signals.installed():
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(signals.roll.wait(), 5)
        assert not signals.stop.is_set()

        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(signals.stop.wait(), 5)
        assert not signals.hurry.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(signals.hurry.wait(), 5)


def test_a_closed_terminal_stops(tmp_path: Path) -> None:
    note = tmp_path / "asked"
    subprocess.run(  # noqa: S603  The interpreter runs a program written above.
        [sys.executable, "-c", UNDER_A_TERMINAL, str(note)], check=True, timeout=30
    )
    assert note.read_text() == "stop"
