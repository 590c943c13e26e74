"""`python -m workers`: one worker process, for a supervisor to start and to start again."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial

import asyncpg
import structlog
import uvloop
from redis.exceptions import RedisError

from pintuan.base.settings.settings import SettingsError, load_settings
from pintuan.base.telemetry import logs
from pintuan.running.supervisor.backoff import STORE_AWAY_STATUS
from pintuan.running.supervisor.readiness import tell_ready
from workers.process import run

_logger = structlog.get_logger("pintuan.workers")


def main() -> None:
    """Works until SIGTERM; exits 1 with one line when a setting is wrong, 75 when a store is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready-fd", type=int, help="descriptor of a pipe that is told once this works")
    options = parser.parse_args()
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"pintuan: {error}")
    logs.configure(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings, working=partial(tell_ready, options.ready_fd)))
    except SettingsError as error:
        sys.exit(f"pintuan: {error}")
    except (RedisError, asyncpg.PostgresError, OSError) as error:
        _logger.error("worker ends", reason=repr(error))  # noqa: TRY400 - the supervisor's log needs no traceback.
        sys.exit(STORE_AWAY_STATUS)


if __name__ == "__main__":
    main()
