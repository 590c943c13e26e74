"""Logs a job's failure: an outage of a store in one line, everything else with its traceback.

A failed job is repeated by its next sweep, so it is counted and logged, and goes no further.
"""

from __future__ import annotations

from typing import Final

import asyncpg
import structlog
from redis.exceptions import RedisError

from groups.errors import Overloaded
from pintuan.base.telemetry.metrics import JOB_FAILURES

# The errors of an outage of Postgres or Redis; with four sweeps a second, their tracebacks would bury the
# rest.
STORE_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    Overloaded,
    RedisError,
)

_logger = structlog.get_logger("pintuan.workers")


def report_failure(job: str, error: Exception) -> None:
    """Counts and logs; call it where the exception is handled."""
    JOB_FAILURES.labels(job).inc()
    errors = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
    if all(isinstance(one, STORE_AWAY) for one in errors):
        _logger.warning("job put off: a store is away", job=job, error=repr(errors[0]))
    else:
        _logger.error("job failed", job=job, exc_info=error)
