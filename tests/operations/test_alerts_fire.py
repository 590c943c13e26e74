"""Each alert is made to fire on a real Prometheus, by causing on a real marketplace what it tells of.

Prometheus looks twice a second here and the rules' durations are a thirtieth of what they are, so that a
minute of trouble takes two seconds. What the rules look for stays as it is.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.operations.causing import Stage, open_stage
from tests.operations.troubles import NOT_CAUSED, TROUBLES, Trouble
from tests.operations.watching import needs_prometheus, rules
from tests.receiver import HOST

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400), needs_prometheus]


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One for all troubles, which come one after the other."""
    with tempfile.TemporaryDirectory(prefix="pintuan-alerts-") as directory:
        async with turning_away() as url, open_stage(Path(directory), sms_url=url) as stage:
            yield stage


@asynccontextmanager
async def turning_away() -> AsyncIterator[str]:
    """The URL of a provider that takes no message."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, HOST, 0) as server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"


def test_every_alert_has_a_trouble_or_a_reason() -> None:
    caused = [alert for trouble in TROUBLES for alert in trouble.alerts]
    assert sorted([*caused, *NOT_CAUSED]) == sorted(rule["alert"] for rule in rules())


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
async def test_the_alerts_of_a_trouble_fire(stage: Stage, trouble: Trouble) -> None:
    async with trouble.cause(stage):
        await stage.until_firing(*trouble.alerts)
