"""Processes whose own clocks are wrong: Postgres' clock decides, and nothing changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.crowd import GROUP_TTL_S, open_crowd
from tests.marketplace import Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AN_HOUR_MS = timedelta(hours=1) // timedelta(milliseconds=1)
NEAR = timedelta(minutes=30)
"""Half of the shift: whatever followed a shifted clock is further off."""


@pytest.mark.parametrize("offset_ms", [AN_HOUR_MS, -AN_HOUR_MS])
async def test_a_shifted_process_clock_moves_no_deadline_settlement_or_token(
    site: Site, offset_ms: int
) -> None:
    up = await site.up(PINTUAN_CLOCK_OFFSET_MS=str(offset_ms))
    async with up.client() as client:
        crowd = await open_crowd(site, client, size=40)
        begun = datetime.now(UTC)
        await crowd.shop(client)
        await crowd.assert_nothing_lost(client)
        await crowd.assert_all_settles(client)
        for group in await crowd.groups(client):
            assert abs(instant(group, "opened_at") - begun) < NEAR
            lifetime = instant(group, "deadline") - instant(group, "opened_at")
            assert lifetime == timedelta(seconds=GROUP_TTL_S)
            assert abs(instant(group, "settled_at") - instant(group, "deadline")) < NEAR
            assert abs(instant(group, "server_time") - datetime.now(UTC)) < NEAR
    await site.assert_sound(PINTUAN_CLOCK_OFFSET_MS=str(offset_ms))
    assert await up.terminate() == 0


def instant(group: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(group[name])
