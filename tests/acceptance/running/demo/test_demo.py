"""The demo against a real marketplace: everything ends as planned, and no invariant is broken by it."""

import asyncio

import pytest

from tests.marketplace import Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]


async def test_two_shows_on_one_marketplace_end_as_planned_and_break_nothing(site: Site) -> None:
    await site.up()
    shows = await asyncio.gather(*(site.show("--seed", seed) for seed in ("1", "2")))
    for show in shows:
        assert show.status == 0, show
        assert "groups: 9 succeeded, 2 failed" in show.output
        assert "price falls to 36.00 USD" in show.output
        assert "given back: 25.00 USD" in show.output
        assert show.output.count("/g/") == 3
        assert "curl -s" in show.output
    await site.assert_sound()


async def test_a_show_without_workers_says_what_is_missing(site: Site) -> None:
    await site.up("--workers", "0")
    show = await site.show()
    assert show.status == 1
    assert "order is still held" in show.output + show.errors
    assert show.errors.splitlines()[-1].startswith("Error: the show did not go as planned")
