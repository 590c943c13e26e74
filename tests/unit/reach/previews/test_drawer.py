"""Cards are drawn by a process of their own, which is there while somebody wants cards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from pintuan.reach.previews.drawer import Drawer
from pintuan.reach.previews.drawing import draw_card, draw_plain_card
from pintuan.reach.previews.drawing_process import NICENESS
from tests.unit.reach.previews.test_cards import state

pytestmark = pytest.mark.anyio


@pytest.fixture
async def drawer() -> AsyncIterator[Drawer]:
    drawer = Drawer()
    yield drawer
    await drawer.close()


def process_of(drawer: Drawer) -> asyncio.subprocess.Process:
    assert drawer._process is not None
    return drawer._process


async def test_a_card_is_that_which_would_be_drawn_here(drawer: Drawer) -> None:
    one, other, plain = await asyncio.gather(
        drawer.draw(state("有机绿茶", "zh")), drawer.draw(state("Kettle")), drawer.draw(None)
    )
    assert one == draw_card(state("有机绿茶", "zh"))
    assert other == draw_card(state("Kettle"))
    assert plain == draw_plain_card()


async def test_one_process_draws_and_yields_to_every_other(drawer: Drawer) -> None:
    await drawer.draw(None)
    first = process_of(drawer).pid
    await asyncio.gather(*(drawer.draw(None) for _ in range(4)))
    assert process_of(drawer).pid == first
    assert os.getpriority(os.PRIO_PROCESS, first) == NICENESS


async def test_a_process_that_was_killed_is_started_again(drawer: Drawer) -> None:
    plain = await drawer.draw(None)
    process_of(drawer).send_signal(signal.SIGKILL)
    assert await drawer.draw(None) == plain


async def test_a_card_that_nobody_waited_for_is_not_taken_for_another(drawer: Drawer) -> None:
    await drawer.draw(None)
    given_up = asyncio.create_task(drawer.draw(state("Kettle")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert await drawer.draw(state("Teapot")) == draw_card(state("Teapot"))


async def test_the_process_ends_with_whoever_drives_it() -> None:
    drawer = Drawer()
    await drawer.draw(None)
    process = process_of(drawer)
    # As when its parent was killed: nobody holds the other end any more.
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    await drawer.close()
