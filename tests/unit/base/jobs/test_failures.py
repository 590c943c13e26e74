"""How failed jobs are told."""

from __future__ import annotations

import asyncpg
import pytest
from structlog.testing import CapturingLogger

from groups.errors import Overloaded
from pintuan.base.jobs import failures

AWAY = ConnectionRefusedError("nobody listens")
BROKEN = KeyError("a column that is not there")


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """What is logged; the process' own logger may have been configured for good by another test."""
    logger = CapturingLogger()
    monkeypatch.setattr(failures, "_logger", logger)
    return logger


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        Overloaded("no answer"),
        asyncpg.CannotConnectNowError("starting up"),
        ExceptionGroup("groups", [AWAY, asyncpg.CannotConnectNowError("starting up")]),
    ],
)
def test_a_store_that_is_away_takes_one_line(logger: CapturingLogger, error: Exception) -> None:
    failures.report_failure("seats", error)
    (call,) = logger.calls
    assert (call.method_name, call.kwargs["job"], "exc_info" in call.kwargs) == ("warning", "seats", False)


@pytest.mark.parametrize("error", [BROKEN, ExceptionGroup("groups", [AWAY, BROKEN])])
def test_anything_else_brings_its_traceback(logger: CapturingLogger, error: Exception) -> None:
    failures.report_failure("seats", error)
    (call,) = logger.calls
    assert (call.method_name, call.kwargs["exc_info"]) == ("error", error)
