"""Directories of servers, which are files of their own users."""

from __future__ import annotations

import asyncio
from pathlib import Path


async def copy_files(source: Path, target: Path) -> None:
    """Copies a stopped server's directory; it may belong to another user, and so must the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec("cp", "--archive", source, target)
    assert await process.wait() == 0
