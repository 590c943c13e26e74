"""The jobs of a worker that a test lets work when it wants them to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import asyncpg

from pintuan.base.jobs.process_jobs import ProcessJobs
from pintuan.buying.groups.jobs import Engine
from pintuan.buying.groups.jobs import Jobs as GroupJobs
from pintuan.money.payments.gateway import Gateway
from pintuan.money.payments.jobs import Jobs as PaymentJobs


def market_jobs(
    pool: asyncpg.Pool,
    engine: Engine,
    gateway: Gateway,
    tell_changed: Callable[[Iterable[str]], None] = lambda _: None,
    **options: int,
) -> ProcessJobs:
    """Those that move groups and their payments, which ask for each other."""
    jobs = ProcessJobs()
    jobs.add(GroupJobs(pool, engine, jobs))
    jobs.add(PaymentJobs(pool, gateway, jobs, tell_changed=tell_changed, **options))
    jobs.check()
    return jobs
