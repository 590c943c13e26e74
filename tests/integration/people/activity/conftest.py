"""A pool as processes have it, which reads and writes jsonb as plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(Settings(database_url=database_url), size_max=2, application_name="test") as pool:
        yield pool
