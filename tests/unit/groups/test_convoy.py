"""Loads gather what many ask for, and nobody waits for another one's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from groups import convoy
from groups.convoy import Convoy
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Harbour:
    """Answers loads with what was asked, in capitals, once they may sail."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.loads: list[list[str]] = []
        self.may_sail = asyncio.Event()
        if is_open:
            self.may_sail.set()

    async def send(self, items: Sequence[str]) -> list[str | Exception]:
        self.loads.append(list(items))
        await self.may_sail.wait()
        return [ValueError(item) if item == "bad" else item.upper() for item in items]

    async def has_loads(self, count: int) -> bool:
        return len(self.loads) == count


async def test_what_is_asked_in_one_turn_leaves_together() -> None:
    harbour = Harbour()
    fleet = Convoy(harbour.send, size_max=100, under_way_max=1)
    assert await asyncio.gather(*(fleet.carry(item, 1) for item in "abc")) == ["A", "B", "C"]
    assert harbour.loads == [["a", "b", "c"]]


async def test_what_is_asked_while_loads_are_under_way_leaves_with_the_next() -> None:
    harbour = Harbour(is_open=False)
    fleet = Convoy(harbour.send, size_max=100, under_way_max=1)
    first = asyncio.create_task(fleet.carry("a", 1))
    await until(lambda: harbour.has_loads(1))
    others = [asyncio.create_task(fleet.carry(item, 1)) for item in "bc"]
    harbour.may_sail.set()
    assert await asyncio.gather(first, *others) == ["A", "B", "C"]
    assert harbour.loads == [["a"], ["b", "c"]]


async def test_a_load_holds_no_more_than_its_size_and_at_least_one() -> None:
    harbour = Harbour()
    fleet = Convoy(harbour.send, size_max=3, under_way_max=1)
    sizes = {"a": 2, "b": 1, "c": 1, "d": 9}
    await asyncio.gather(*(fleet.carry(item, size) for item, size in sizes.items()))
    assert harbour.loads == [["a", "b"], ["c"], ["d"]]


async def test_an_exception_in_ones_place_is_raised_for_that_one_alone() -> None:
    fleet = Convoy(Harbour().send, size_max=100, under_way_max=1)
    good, bad = await asyncio.gather(fleet.carry("good", 1), fleet.carry("bad", 1), return_exceptions=True)
    assert good == "GOOD"
    assert isinstance(bad, ValueError)


async def test_what_a_load_raises_everybody_of_it_hears_and_the_next_load_sails() -> None:
    async def sink(items: Sequence[str]) -> list[str | Exception]:
        if "storm" in items:
            raise OSError("sunk")
        return list(items)

    fleet = Convoy(sink, size_max=2, under_way_max=1)
    outcomes = await asyncio.gather(
        *(fleet.carry(item, 1) for item in ("storm", "a", "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [OSError, OSError, str]


async def test_a_load_that_stalls_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convoy, "PATIENCE_S", 0.01)
    harbour = Harbour(is_open=False)
    fleet = Convoy(harbour.send, size_max=1, under_way_max=1)
    tasks = [asyncio.create_task(fleet.carry(item, 1)) for item in "abcdefghij"]
    # The one that may be under way, and as many stalled ones beside it as are allowed.
    await until(lambda: harbour.has_loads(1 + convoy.STALLED_MAX))
    harbour.may_sail.set()
    assert await asyncio.gather(*tasks) == list("ABCDEFGHIJ")


async def test_one_who_gives_up_takes_nobody_along() -> None:
    harbour = Harbour(is_open=False)
    fleet = Convoy(harbour.send, size_max=100, under_way_max=1)
    gone, stays = (asyncio.create_task(fleet.carry(item, 1)) for item in ("gone", "stays"))
    await until(lambda: harbour.has_loads(1))
    gone.cancel()
    harbour.may_sail.set()
    assert await stays == "STAYS"
    assert gone.cancelled()
