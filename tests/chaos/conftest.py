"""Marketplaces to be hurt.

Fixtures:

    site            a data directory and a port of this test
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.marketplace import Site


@pytest.fixture
async def site(own_directory: Path) -> AsyncIterator[Site]:
    """A site where nothing runs yet; whatever a failing test leaves there is ended."""
    site = Site(own_directory / "data")
    yield site
    await site.close()
