"""Logs are one JSON object a line, whoever writes them, and hold no secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pintuan.base.settings.settings import Settings
from pintuan.base.telemetry import logs
from pintuan.base.telemetry.ended_request import EndedRequest


@pytest.fixture
def request_log() -> Iterator[logs.RequestLog]:
    """Logs as in production; pytest's own handlers and structlog's earlier setup come back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    config = structlog.get_config()
    processors = list(config["processors"])
    yield logs.configure(Settings(env="production", secret_key="x" * 32))
    root.handlers = handlers
    root.setLevel(level)
    # In place, because loggers in use keep the list they were made with.
    config["processors"][:] = processors
    structlog.configure(**config)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("request_log")
def test_our_own_lines_and_a_librarys_have_one_shape(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("pintuan.test").info("ours", deal_id="deal_1")
    logging.getLogger("arq.worker").warning("theirs %s", 1)

    ours, theirs = lines(capsys)
    assert (ours["event"], ours["logger"], ours["level"], ours["deal_id"]) == (
        "ours",
        "pintuan.test",
        "info",
        "deal_1",
    )
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("theirs 1", "arq.worker", "warning")
    assert ours["timestamp"].endswith("Z")
    assert theirs["timestamp"].endswith("Z")


@pytest.mark.usefixtures("request_log")
def test_a_line_carries_the_id_of_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("pintuan.test").info("ours")

    assert lines(capsys)[0]["request_id"] == "r-1"


@pytest.mark.usefixtures("request_log")
def test_a_pool_that_tries_again_tells_so_in_one_line_and_a_defect_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = ConnectionRefusedError("nobody there")
    logging.getLogger("asyncpg.pool").warning("Failed to restore; retrying", exc_info=away)
    logging.getLogger("asyncpg.pool").error("a defect", exc_info=away)

    retry, defect = lines(capsys)
    assert retry["event"] == "Failed to restore; retrying: ConnectionRefusedError('nobody there')"
    assert "exception" not in retry
    assert "nobody there" in defect["exception"]


def test_the_line_of_a_request_says_what_was_answered_and_how_fast(
    request_log: logs.RequestLog, capsys: pytest.CaptureFixture[str]
) -> None:
    request_log.write([EndedRequest("r-1", "GET", "/v1/deals/{deal_id}", 200, 0.00123456)])

    (line,) = lines(capsys)
    assert line["route"] == "/v1/deals/{deal_id}"
    assert (line["status"], line["duration_ms"], line["request_id"]) == (200, 1.23, "r-1")


@pytest.mark.usefixtures("request_log")
def test_a_traceback_is_part_of_its_line_and_masked(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("cannot reach postgresql://pintuan:hunter2@db/pintuan")

    structlog.get_logger("pintuan.test").error("failed", exc_info=error)

    (line,) = lines(capsys)
    assert "RuntimeError" in line["exception"]
    assert "postgresql://pintuan:***@db" in line["exception"]
    assert "hunter2" not in line["exception"]


@pytest.mark.usefixtures("request_log")
def test_secrets_are_masked_by_key_and_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("pintuan.test").info("sent Bearer abc.def.ghi", token="abc", refresh_token="def")

    (line,) = lines(capsys)
    assert (line["token"], line["refresh_token"]) == ("***", "***")
    assert line["event"] == "sent Bearer ***"
