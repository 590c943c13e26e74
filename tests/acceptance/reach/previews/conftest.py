"""Fixtures of previews.

pages       a client of the API for what is not in its contract
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.marketplace import PLAIN_HTTP


@pytest.fixture
async def pages(api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.base_url, verify=PLAIN_HTTP) as client:
        yield client
