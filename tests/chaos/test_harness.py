"""The fault harness itself, for a moment: a few seeds under real faults keep every law, and it says so."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(420)]

RUN_S_MAX = 400.0
"""A minute on a machine that does nothing else."""
SUMMARY = re.compile(r"^(\d+) seeds, ([\d,]+) operations", re.MULTILINE)


async def harness(directory: Path, *options: str) -> tuple[int, str]:
    """Runs `pintuan chaos` to its end; answers its exit status and all it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pintuan", "chaos", *options),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_S_MAX):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_short_run_is_clean_and_says_what_it_did(tmp_path: Path) -> None:
    options = ("--seed", "133", "--seeds", "6", "--together", "3", "--shoppers", "40")

    status, said = await harness(tmp_path, *options)

    assert status == 0, said
    found = SUMMARY.search(said)
    assert found is not None, said
    assert int(found[1]) == 6
    assert int(found[2].replace(",", "")) > 6 * 40
    assert re.findall(r"^seed (\d+): ", said, re.MULTILINE) == [str(seed) for seed in range(133, 139)]
    assert "audits: 1; anomalies: 0" in said
    assert os.listdir(tmp_path) == [], "nothing is left of a clean run"  # noqa: PTH208 - of a directory of ours.
