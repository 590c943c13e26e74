"""Which cores run the servers and which the load, so that one does not slow the other."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores by number; both are empty where the system cannot pin, and the same where there is but one."""

    servers: frozenset[int]
    load: frozenset[int]

    def __str__(self) -> str:
        if not self.servers:
            return "not pinned"
        return f"servers on {_listed(self.servers)}, load on {_listed(self.load)}"


def split_cores() -> Cores:
    """Gives the last core this process may use to the load, and all others to the servers."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(frozenset(), frozenset())
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) == 1:
        return Cores(frozenset(allowed), frozenset(allowed))
    return Cores(frozenset(allowed[:-1]), frozenset(allowed[-1:]))


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Keeps this process, and every child it starts in the block for good, on `cores`; on none: anywhere."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
