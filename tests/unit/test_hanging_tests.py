"""A test that never ends is ended, whatever its fixtures have opened."""

import os
import subprocess
import sys
from pathlib import Path

from tests.documents import PROJECT

HANGING = """
import asyncio
import pytest


@pytest.fixture
async def opened():
    yield


@pytest.mark.anyio
@pytest.mark.timeout(0.1)
async def test_that_hangs(opened):
    await asyncio.Event().wait()
"""
# Longer than pytest takes to start on a busy machine.
RUN_S_MAX = 60


def test_a_test_that_hangs_with_fixtures_open_ends_the_run(tmp_path: Path) -> None:
    file = tmp_path / "test_hanging.py"
    file.write_text(HANGING)
    settings = (f"--config-file={PROJECT / 'pyproject.toml'}", f"--rootdir={tmp_path}")
    # What a worker of an outer run is told by its environment means nothing here.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(  # noqa: S603 - the arguments are this file's own.
        [sys.executable, "-m", "pytest", *settings, str(file)],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S_MAX,
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stdout, ended.stderr
