"""Postgres' own tools, as the pages on backups use them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil

from pintuan.base.stores.embedded import EmbeddedPostgres

TOOL_S_MAX = 60.0


def tools_of(postgres: EmbeddedPostgres) -> Path:
    """Where the tools of a running server's own version lie."""
    assert postgres.pid is not None
    return Path(psutil.Process(postgres.pid).exe()).parent


async def run(tool: Path, *arguments: str | Path) -> str:
    """Runs a tool to its end and answers what it printed."""
    process = await asyncio.create_subprocess_exec(
        tool, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(TOOL_S_MAX):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def give_to_owner_of(model: Path, directory: Path) -> None:
    """Makes a directory belong to whom another belongs; as root, Postgres is a user of its own."""
    if os.geteuid() == 0:
        owner = model.stat()
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
