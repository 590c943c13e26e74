"""Keeping a process alive, with small real processes."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from pintuan.base.stores.embedded.process import ChildCommand
from pintuan.running.supervisor.backoff import BOOT_RESTARTS_MAX
from pintuan.running.supervisor.children import PythonProcess
from pintuan.running.supervisor.errors import CrashLoopError
from pintuan.running.supervisor.keeper import Keeper, ending
from pintuan.running.supervisor.readiness import NeverReadyError

pytestmark = pytest.mark.anyio

LIVES = "import time; time.sleep(60)"
IGNORES_SIGTERM = (
    "import signal, time, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open(sys.argv[1], 'w').close(); time.sleep(60)"
)
SERVES = "import os, sys, time; os.write(int(sys.argv[-1]), b'r'); time.sleep(60)"
DIES = "import sys; sys.exit('the reason why')"
LONG_S = 60.0


def process(code: str, *arguments: str, log: Path) -> PythonProcess:
    command = ChildCommand(arguments=[sys.executable, "-c", code, *arguments], log=log)
    return PythonProcess(command, ((signal.SIGTERM, LONG_S),))


async def test_a_killed_process_is_started_again_and_its_death_told(own_directory: Path) -> None:
    child = process(LIVES, log=own_directory / "log")
    reports: asyncio.Queue[str] = asyncio.Queue()
    dead: list[int] = []
    keeper = Keeper("thing", child, report=reports.put_nowait, died=dead.append)
    await keeper.start()
    keeping = asyncio.create_task(keeper.keep())
    first_pid = child.pid
    assert first_pid is not None

    await child.kill()
    assert "thing was ended by SIGKILL; starting it again in" in await reports.get()
    while child.pid == first_pid:  # noqa: ASYNC110  # a process has no event for having been spawned again
        await asyncio.sleep(0.01)

    await keeper.stop(asyncio.Event())
    await keeping
    assert dead == [first_pid, child.pid]


async def test_a_process_that_dies_at_once_is_given_up_with_its_last_words(own_directory: Path) -> None:
    reports: list[str] = []
    keeper = Keeper("thing", process(DIES, log=own_directory / "log"), report=reports.append)
    await keeper.start()
    with pytest.raises(
        CrashLoopError, match=r"(?s)thing keeps ending: it last exited with 1.*the reason why"
    ):
        await keeper.keep()
    assert len(reports) == BOOT_RESTARTS_MAX


async def test_stopping_during_a_pause_starts_nothing_again(own_directory: Path) -> None:
    child = process(LIVES, log=own_directory / "log")
    reports: asyncio.Queue[str] = asyncio.Queue()
    keeper = Keeper("thing", child, report=reports.put_nowait)
    await keeper.start()
    keeping = asyncio.create_task(keeper.keep())
    await child.kill()
    await reports.get()
    pid = child.pid

    await keeper.stop(asyncio.Event())
    await keeping
    assert child.pid == pid


async def test_a_second_signal_kills_what_does_not_want_to_end(own_directory: Path) -> None:
    started = own_directory / "started"
    child = process(IGNORES_SIGTERM, str(started), log=own_directory / "log")
    keeper = Keeper("thing", child, report=lambda _line: None)
    await keeper.start()
    keeping = asyncio.create_task(keeper.keep())
    while not started.exists():  # noqa: ASYNC110  # the process says only by this file that it is deaf
        await asyncio.sleep(0.01)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(keeper.stop(hurry))
    hurry.set()

    await stopping
    await keeping
    assert await child.wait() == -signal.SIGKILL


async def test_a_successor_takes_over_once_it_serves_and_the_old_process_ends(own_directory: Path) -> None:
    old, new = process(LIVES, log=own_directory / "log"), process(SERVES, log=own_directory / "log")
    reports: list[str] = []
    dead: list[int] = []
    keeper = Keeper("thing", old, report=reports.append, died=dead.append)
    await keeper.start()
    keeping = asyncio.create_task(keeper.keep())

    await keeper.replace(new)
    assert await old.wait() == -signal.SIGTERM
    assert keeper.process is new

    await keeper.stop(asyncio.Event())
    await keeping
    assert await new.wait() == -signal.SIGTERM
    assert (reports, dead) == ([], [old.pid, new.pid])


@pytest.mark.parametrize(("code", "reason"), [(DIES, "ended before it served"), (LIVES, "did not serve")])
async def test_a_successor_that_never_serves_leaves_the_old_process_alone(
    own_directory: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.setattr("pintuan.running.supervisor.keeper.SERVING_WAIT_S_MAX", 0.5)
    old, new = process(LIVES, log=own_directory / "log"), process(code, log=own_directory / "log")
    keeper = Keeper("thing", old, report=lambda _line: None)
    await keeper.start()
    keeping = asyncio.create_task(keeper.keep())
    first_pid = old.pid

    with pytest.raises(NeverReadyError, match=reason):
        await keeper.replace(new)
    assert (keeper.process, old.pid) == (old, first_pid)
    assert await new.wait() != 0, "nothing of it is left"

    await keeper.stop(asyncio.Event())
    await keeping


def test_endings_are_told_in_words() -> None:
    assert ending(0) == "exited with 0"
    assert ending(-9) == "was ended by SIGKILL"
    assert ending(-200) == "was ended by signal 200"
