"""What a data directory tells its next user."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.embedded.process import open_log

pytestmark = pytest.mark.anyio

HOLDS = """
import sys, time
from pathlib import Path
from pintuan.base.stores.embedded.data_directory import DataDirectory
with DataDirectory(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""
FOR_EVER_S = "600"


@pytest.mark.parametrize(("held_s", "killed"), [("0", False), (FOR_EVER_S, True)])
async def test_only_a_holder_that_was_killed_counts_as_a_crash(
    own_directory: Path, held_s: str, killed: bool
) -> None:
    directory = DataDirectory(own_directory / "data")
    with directory.locked():
        assert not directory.after_crash, "nobody was here before"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDS, str(directory.path), held_s), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    if killed:
        holder.send_signal(signal.SIGKILL)
    await holder.wait()

    with directory.locked():
        assert directory.after_crash == killed
    with directory.locked():
        assert not directory.after_crash


async def test_logs_and_metrics_are_nobody_elses_to_read_also_those_of_an_older_version(
    own_directory: Path,
) -> None:
    directory = DataDirectory(own_directory / "data")
    old = directory.log("api")
    old.parent.mkdir(parents=True, mode=0o755)
    old.touch(mode=0o644)
    directory.keep_private()
    os.close(open_log(directory.log("worker")))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.path.rglob("*")}
    assert modes == {"log": 0o700, "metrics": 0o700, "api.log": 0o600, "worker.log": 0o600}
