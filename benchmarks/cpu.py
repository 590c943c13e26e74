"""CPU time of processes, with all they started, as the kernel counts it (user and system)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable


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

    A tick of the kernel's count is 10 ms. Postgres serves from a process for each connection; those that have
    ended are in the count of the one that started them.
    """
    total_s = 0.0
    for process_id in process_ids:
        root = psutil.Process(process_id)
        for process in (root, *root.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                # It ended since it was listed, and is in its parent's count from now on.
                continue
            total_s += times.user + times.system
            # Only where the kernel tells.
            total_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total_s


def memory_bytes(process_id: int) -> int:
    """Memory that a process keeps to itself or shares, resident now."""
    resident: int = psutil.Process(process_id).memory_info().rss
    return resident
