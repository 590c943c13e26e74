"""The demo against a real marketplace: everything ends as planned, and no invariant is broken by it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.supervisor.conftest import Operator, Up

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]

COMMAND_S_MAX = 200.0


@pytest.fixture
async def up(own_directory: Path) -> AsyncIterator[Up]:
    """A marketplace with API and workers."""
    operator = Operator(own_directory / "data")
    try:
        yield await operator.up()
    finally:
        await operator.close()


async def run(*arguments: str, data_dir: Path) -> tuple[int | None, str]:
    """Runs `pintuan` with the arguments; answers its exit status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pintuan", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PINTUAN_DATA_DIR": str(data_dir)},
    )
    try:
        async with asyncio.timeout(COMMAND_S_MAX):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()


async def test_two_shows_on_one_marketplace_end_as_planned_and_break_nothing(up: Up) -> None:
    shows = await asyncio.gather(*(run("demo", "--seed", seed, data_dir=up.data_dir) for seed in ("1", "2")))
    for status, said in shows:
        assert status == 0, said
        assert "groups: 8 succeeded, 2 failed" in said
        assert "price falls to 36.00 USD" in said
        assert said.count("/g/") == 3
        assert "curl -s" in said
    status, said = await run("audit", data_dir=up.data_dir)
    assert status == 0, said


async def test_a_show_without_workers_says_what_is_missing(own_directory: Path) -> None:
    operator = Operator(own_directory / "data")
    try:
        up = await operator.up("--workers", "0")
        status, said = await run("demo", data_dir=up.data_dir)
    finally:
        await operator.close()
    assert status == 1
    assert "order is still held" in said
    assert said.splitlines()[-1].startswith("Error: the show did not go as planned")
