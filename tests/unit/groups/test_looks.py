"""Work that several wait for goes on when one gives up, and its late error is told."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from groups.looks import SharedLooks, outlived

pytestmark = pytest.mark.anyio


async def test_an_error_after_its_caller_gave_up_is_logged_and_not_left_to_the_garbage_collector(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    fails = asyncio.Event()

    async def work() -> None:
        await fails.wait()
        raise ConnectionError("the server went away")

    task = asyncio.create_task(work())
    caller = asyncio.create_task(outlived(task))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    fails.set()
    with caplog.at_level(logging.WARNING, "groups.looks"):
        await asyncio.wait({task})
        await asyncio.sleep(0)
    del task
    gc.collect()

    assert unhandled == []
    assert "the server went away" in caplog.text


async def test_a_caller_that_gives_up_does_not_end_the_look_for_others() -> None:
    looks, answers = SharedLooks(), asyncio.Event()

    async def look() -> str:
        await answers.wait()
        return "seen"

    impatient = asyncio.create_task(looks.share("deal", look))
    patient = asyncio.create_task(looks.share("deal", look))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    answers.set()

    assert await patient == "seen"
