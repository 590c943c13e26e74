"""`pintuan import` of a hundred thousand rows: each is as much work as the first, in bounded memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

SMALL_ROWS, LARGE_ROWS = 10_000, 100_000
VARIANTS_PER_PRODUCT = 5
# What is remembered of each row, to notice repeated ones, is far below what a row takes.
BYTES_PER_ROW_MAX = 400


class Run(NamedTuple):
    """What a finished command said, and the most memory it ever had."""

    exit_code: int
    output: str
    peak_bytes: int


def write_feed(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8") as feed:
        feed.write("id,title,description,price,item_group_id,color,image_link\n")
        for n in range(rows):
            feed.write(
                f"item-{n},Kettle {n // VARIANTS_PER_PRODUCT},{'boils ' * 40}{n},19.99 USD,"
                f"group-{n // VARIANTS_PER_PRODUCT},color {n},https://img.example/{n}.jpg\n"
            )
    return path


def run_import(feed: Path, database_url: str) -> Run:
    """Runs the command in a process of its own, whose memory the operating system counts."""
    process = subprocess.Popen(  # noqa: S603 - the command is ours.
        [sys.executable, "-m", "pintuan", "import", str(feed), "--merchant", "teahouse"],
        cwd=feed.parent,
        env=os.environ | {"PINTUAN_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts in KiB, macOS in bytes (getrusage(2)).
    return Run(process.returncode, output, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


async def test_a_large_feed_is_imported_in_bounded_memory_and_only_once(
    database_url: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    small = await asyncio.to_thread(write_feed, tmp_path / "small.csv", SMALL_ROWS)
    large = await asyncio.to_thread(write_feed, tmp_path / "large.csv", LARGE_ROWS)

    first = await asyncio.to_thread(run_import, small, database_url)
    assert first.exit_code == 0, first.output
    second = await asyncio.to_thread(run_import, large, database_url)
    assert second.exit_code == 0, second.output
    new_rows = LARGE_ROWS - SMALL_ROWS
    assert f"{new_rows // VARIANTS_PER_PRODUCT} products added, 0 changed" in second.output
    assert f"{new_rows} items added, 0 changed, {SMALL_ROWS} as before; 0 rows refused" in second.output
    assert second.peak_bytes - first.peak_bytes < new_rows * BYTES_PER_ROW_MAX

    again = await asyncio.to_thread(run_import, large, database_url)
    assert "0 products added, 0 changed; 0 items added, 0 changed, 100000 as before" in again.output
    assert await pool.fetchval("SELECT count(*) FROM variants") == LARGE_ROWS
    assert await pool.fetchval("SELECT count(*) FROM product_search") == LARGE_ROWS // VARIANTS_PER_PRODUCT
