"""One look for everybody who asks at about the same time."""

from __future__ import annotations

import asyncio

import pytest

from pintuan.http.health.shared_answer import SharedAnswer

pytestmark = pytest.mark.anyio

CROWD = 64


class Looks:
    """Counts the looks, each of which ends when it is let."""

    def __init__(self) -> None:
        self.count = 0
        self.at_once_most = 0
        self.ends = asyncio.Event()
        self._at_once = 0

    async def look(self) -> int:
        self.count += 1
        self._at_once += 1
        self.at_once_most = max(self.at_once_most, self._at_once)
        try:
            await self.ends.wait()
        finally:
            self._at_once -= 1
        return self.count


async def test_a_crowd_shares_one_look_and_its_answer_serves_for_a_while() -> None:
    looks = Looks()
    shared = SharedAnswer(looks.look, kept_s=60.0)
    asked = [asyncio.create_task(shared.get()) for _ in range(CROWD)]
    await asyncio.sleep(0)
    looks.ends.set()

    assert set(await asyncio.gather(*asked)) == {1}
    assert await shared.get() == 1


async def test_an_answer_that_is_too_old_is_found_out_anew_by_one() -> None:
    looks = Looks()
    looks.ends.set()
    shared = SharedAnswer(looks.look, kept_s=0.0)
    assert await shared.get() == 1
    assert set(await asyncio.gather(*(shared.get() for _ in range(CROWD)))) == {2}
    assert looks.at_once_most == 1


async def test_what_is_not_to_be_kept_is_told_to_those_who_wait_for_it_alone() -> None:
    looks = Looks()
    looks.ends.set()
    shared = SharedAnswer(looks.look, kept_s=60.0, keeps=lambda answer: answer > 1)
    assert [await shared.get() for _ in range(4)] == [1, 2, 2, 2]


async def test_trouble_is_told_and_not_kept() -> None:
    found: list[Exception | None] = [ValueError("away"), None]

    async def look() -> str:
        trouble = found.pop(0)
        if trouble is not None:
            raise trouble
        return "well"

    shared = SharedAnswer(look, kept_s=60.0)
    with pytest.raises(ValueError, match="away"):
        await shared.get()
    assert await shared.get() == "well"
