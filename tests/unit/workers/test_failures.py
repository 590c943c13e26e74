"""How failed jobs are told."""

from __future__ import annotations

import asyncpg
import pytest
from structlog.testing import capture_logs

from groups.errors import Overloaded
from workers.failures import report_failure

AWAY = ConnectionRefusedError("nobody listens")
BROKEN = KeyError("a column that is not there")


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        Overloaded("no answer"),
        asyncpg.CannotConnectNowError("starting up"),
        ExceptionGroup("groups", [AWAY, asyncpg.CannotConnectNowError("starting up")]),
    ],
)
def test_a_store_that_is_away_takes_one_line(error: Exception) -> None:
    with capture_logs() as lines:
        report_failure("seats", error)
    (line,) = lines
    assert (line["log_level"], line["job"], "exc_info" in line) == ("warning", "seats", False)


@pytest.mark.parametrize("error", [BROKEN, ExceptionGroup("groups", [AWAY, BROKEN])])
def test_anything_else_brings_its_traceback(error: Exception) -> None:
    with capture_logs() as lines:
        report_failure("seats", error)
    (line,) = lines
    assert (line["log_level"], line["exc_info"]) == ("error", error)
