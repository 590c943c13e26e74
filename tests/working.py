"""The jobs of a worker that a test lets work when it wants them to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import asyncpg

from pintuan.base.events.event import Reactions
from pintuan.base.events.jobs import EventJobs
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
    listeners: Mapping[str, Reactions] | None = None,
    **options: int,
) -> ProcessJobs:
    """Those that move groups and their payments, which ask for each other, and let nouns hear of it."""
    jobs = ProcessJobs()
    jobs.add(GroupJobs(pool, engine, jobs))
    jobs.add(PaymentJobs(pool, gateway, jobs, tell_changed=tell_changed, **options))
    jobs.add(EventJobs(pool, listeners or {}, jobs))
    jobs.check()
    return jobs
