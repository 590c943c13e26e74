"""CPU time of processes, with all they started, as the kernel counts it (user and system)."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLOCK_BITS: Final = 3
_CLOCK_OF_PROCESS: Final = 2


class Cpu(msgspec.Struct, frozen=True):
    """CPU seconds of each part."""

    api_s: float
    redis_s: float
    postgres_s: float
    workers_s: float

    @property
    def total_s(self) -> float:
        """All parts together."""
        return self.api_s + self.redis_s + self.postgres_s + self.workers_s

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(
            self.api_s - earlier.api_s,
            self.redis_s - earlier.redis_s,
            self.postgres_s - earlier.postgres_s,
            self.workers_s - earlier.workers_s,
        )


def cpu_s(process_ids: Iterable[int]) -> float:
    """CPU seconds used so far by these processes, their living descendants, and those that they waited for.

    Living processes count to the nanosecond on Linux; those that ended, elsewhere all, in ticks of 10 ms.
    Postgres serves from a process for each connection, and those that ended are in their parent's count.
    """
    total_s = 0.0
    for process_id in process_ids:
        root = psutil.Process(process_id)
        for process in (root, *root.children(recursive=True)):
            # One that ended since it was listed is in its parent's count from now on.
            with suppress(psutil.NoSuchProcess, OSError):
                total_s += _own_s(process) + _of_ended_children_s(process)
    return total_s


def _own_s(process: psutil.Process) -> float:
    if sys.platform != "linux":
        times = process.cpu_times()
        return float(times.user + times.system)
    # The kernel's clock of another process (linux/posix-timers.h): its number, inverted, and which clock.
    return time.clock_gettime((~process.pid << _CLOCK_BITS) | _CLOCK_OF_PROCESS)


def _of_ended_children_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    # Only where the kernel tells.
    return float(getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0))


def memory_bytes(process_id: int) -> int:
    """Memory that a process keeps to itself or shares, resident now."""
    resident: int = psutil.Process(process_id).memory_info().rss
    return resident
