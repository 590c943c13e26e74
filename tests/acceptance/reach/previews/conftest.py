"""Fixtures of previews.

pages       a client of the API for what is not in its contract
"""

from collections.abc import AsyncIterator

import httpx
import pytest


@pytest.fixture
async def pages(api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.base_url) as client:
        yield client
