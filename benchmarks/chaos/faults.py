"""Which faults there are: the name of each, how long it lasts, and how often it is chosen beside the others.

What each does to a running marketplace is in `benchmarks.chaos.nemeses`, under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. It lasts between `low_ms` and `high_ms`, or is over at once where both are 0.

    A `late` one comes after everything that was asked has been decided, and at most once a round. A round has
    at most one `heavy` one, because each of those takes seconds to recover from. What befalls links befalls
    those of one node or of both, but for kinds that are about `one_node`.
    """

    about: str
    low_ms: int = 0
    high_ms: int = 0
    weight: int = 4
    heavy: bool = False
    late: bool = False
    one_node: bool = False


def _stall(what: str) -> Kind:
    return Kind(f"nothing passes between {what}, and no connection ends", 200, 3_500)


def _cut(what: str) -> Kind:
    return Kind(f"every connection between {what} is reset, and new ones are refused", 0, 1_500)


def _half_close(what: str) -> Kind:
    return Kind(f"every connection between {what} is closed for one direction only", 100, 1_500)


def _lose(what: str) -> Kind:
    return Kind(
        f"nothing passes between one node and {what} for longer than a seat may stay unrecorded",
        11_000,
        14_000,
        weight=3,
        heavy=True,
        one_node=True,
    )


def _slow(what: str) -> Kind:
    return Kind(f"whatever passes between {what} takes some time longer, in order", 500, 4_000)


_REDIS: Final = "the application and the Redis that places"
_QUEUE: Final = "the application and the queue's Redis"
_POSTGRES: Final = "the application and Postgres"
_CLIENTS: Final = "half of the shoppers and the application"

KINDS: Final[dict[str, Kind]] = {
    "kill_api": Kind("kill -9 of one node's API process"),
    "kill_worker": Kind("kill -9 of one node's worker"),
    "kill_all_children": Kind("kill -9 of every API process and worker at once", heavy=True),
    "kill_supervisor": Kind(
        "kill -9 of a node's supervisor, started again after a while", 500, 2_500, heavy=True
    ),
    "stop_api": Kind("SIGSTOP of an API process, then SIGCONT", 200, 4_000),
    "freeze_api": Kind(
        "SIGSTOP of an API process for longer than a seat may stay unrecorded",
        11_000,
        14_000,
        weight=2,
        heavy=True,
    ),
    "stop_worker": Kind("SIGSTOP of a worker, then SIGCONT", 500, 6_000),
    "stop_all_workers": Kind("SIGSTOP of every worker, then SIGCONT", 1_000, 8_000),
    "stop_supervisor": Kind("SIGSTOP of a supervisor, then SIGCONT", 500, 4_000, weight=2),
    "roll": Kind("SIGHUP of a node: every child is replaced under load", heavy=True),
    "clock_ahead": Kind("a node starts again with its clock an hour ahead", heavy=True),
    "clock_behind": Kind("a node starts again with its clock an hour behind", heavy=True),
    "kill_postgres": Kind("kill -9 of Postgres, started again after a while", 0, 2_000, heavy=True),
    "kill_backend": Kind("kill -9 of one Postgres backend, at which all of them restart", heavy=True),
    "stop_postgres": Kind("SIGSTOP of every Postgres process, then SIGCONT", 200, 3_000),
    "freeze_postgres": Kind(
        "SIGSTOP of Postgres for longer than a statement is waited for", 11_000, 14_000, heavy=True
    ),
    "restart_postgres": Kind("an orderly restart of Postgres", heavy=True),
    "fill_postgres": Kind(
        "the disk of Postgres is full, and Postgres is restarted if that ended it", 500, 2_500, heavy=True
    ),
    "readonly_postgres": Kind("Postgres takes no more writes (default_transaction_read_only)", 500, 4_000),
    "lock_postgres": Kind("somebody holds a lock on every group, lane and order", 300, 3_500),
    "kill_redis": Kind("kill -9 of the placing Redis, started again after a while", 0, 2_000),
    "stop_redis": Kind("SIGSTOP of the placing Redis, then SIGCONT", 200, 3_500),
    "flush_redis": Kind("FLUSHALL of the placing Redis"),
    "restore_redis": Kind(
        "the placing Redis goes back to an append-only file of a while ago", 200, 3_000, weight=6
    ),
    "promote_redis": Kind(
        "a replica of the placing Redis without the last writes takes its place", 100, 2_000, weight=6
    ),
    "fill_redis": Kind("the disk of the placing Redis is full", 500, 3_000),
    "full_redis": Kind("the placing Redis takes no more writes (maxmemory)", 300, 3_000),
    "readonly_redis": Kind("the placing Redis takes itself for a replica for a while", 300, 3_000),
    "forget_scripts": Kind("SCRIPT FLUSH of the placing Redis", weight=2),
    "kill_queue": Kind("kill -9 of the queue's Redis, started empty after a while", 0, 4_000),
    "stop_queue": Kind("SIGSTOP of the queue's Redis, then SIGCONT", 500, 6_000),
    "full_queue": Kind("the queue's Redis takes no more writes (maxmemory)", 500, 5_000),
    "flush_queue": Kind("FLUSHALL of the queue's Redis", weight=2),
    "lose_redis": _lose("the Redis that places"),
    "lose_postgres": _lose("Postgres"),
    "slow_redis": _slow(_REDIS),
    "slow_postgres": _slow(_POSTGRES),
    "stall_redis": _stall(_REDIS),
    "stall_queue": _stall(_QUEUE),
    "stall_postgres": _stall(_POSTGRES),
    "stall_clients": _stall(_CLIENTS),
    "cut_redis": _cut(_REDIS),
    "cut_queue": _cut(_QUEUE),
    "cut_postgres": _cut(_POSTGRES),
    "cut_clients": _cut(_CLIENTS),
    "half_close_redis": _half_close(_REDIS),
    "half_close_queue": _half_close(_QUEUE),
    "half_close_postgres": _half_close(_POSTGRES),
    "half_close_clients": _half_close(_CLIENTS),
    "days_away": Kind(
        "joins without any worker, then 48 hours until the workers are back", heavy=True, late=True, weight=3
    ),
    "gateway": Kind("most payments of the round are slow, unanswered, refused or fail at the capture"),
    "transfers": Kind("every deal of the round has several lanes and too little stock in each", weight=3),
}
"""Every kind of fault. The last two change what the shoppers of a round do rather than a process."""

SHOPPING: Final = frozenset({"gateway", "transfers"})
"""Kinds that are a matter of the plan alone."""
