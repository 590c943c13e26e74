"""Who comes next, and how many may wait."""

from __future__ import annotations

import asyncio

import pytest

from pintuan.base.errors import Overloaded, RateLimited
from pintuan.http.fair_share.waiting_room import WaitingRoom

pytestmark = pytest.mark.anyio

LONG_S = 60.0


async def waiting(room: WaitingRoom, address: str, came: list[str]) -> asyncio.Task[None]:
    """Lets a call of an address wait for its place, and note when it gets it."""

    async def call() -> None:
        await room.enter(address, wait_s=LONG_S)
        came.append(address)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    return task


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_addresses_take_turns_however_many_calls_one_has() -> None:
    room, came = WaitingRoom(1), list[str]()
    await room.enter("first")
    tasks = [await waiting(room, "crowd", came) for _ in range(5)]
    tasks.append(await waiting(room, "ann", came))
    for _ in tasks:
        room.leave()
        await turns()

    assert came == ["crowd", "ann", "crowd", "crowd", "crowd", "crowd"]
    assert room.waiting == 0
    await asyncio.gather(*tasks)


async def test_a_place_that_nobody_waits_for_stays_free() -> None:
    room = WaitingRoom(2)
    assert [room.try_enter() for _ in range(3)] == [True, True, False]
    room.leave()
    assert [room.try_enter() for _ in range(2)] == [True, False]


async def test_one_address_may_not_have_everybody_else_turned_away() -> None:
    room, came = WaitingRoom(1, waiting_max=5, waiting_per_address_max=3), list[str]()
    await room.enter("first")
    tasks = [await waiting(room, "crowd", came) for _ in range(3)]
    with pytest.raises(RateLimited):
        await room.enter("crowd")
    tasks += [await waiting(room, name, came) for name in ("ann", "bob")]
    with pytest.raises(Overloaded):
        await room.enter("cleo")
    for _ in tasks:
        room.leave()
    await asyncio.gather(*tasks)


async def test_who_waited_too_long_is_told_so_and_leaves_no_trace() -> None:
    room = WaitingRoom(1)
    await room.enter("first")
    with pytest.raises(Overloaded):
        await room.enter("ann", wait_s=0)
    assert room.waiting == 0
    room.leave()
    assert room.try_enter()


async def test_the_turn_of_a_call_that_was_given_up_goes_to_the_next() -> None:
    room, came = WaitingRoom(1), list[str]()
    await room.enter("first")
    given_up, ann = await waiting(room, "gone", came), await waiting(room, "ann", came)
    # Its turn comes and it is given up in the same moment.
    room.leave()
    given_up.cancel()
    await ann

    assert came == ["ann"]
    assert given_up.cancelled()
    room.leave()
    assert [room.try_enter(), room.try_enter()] == [True, False]


async def test_no_turn_goes_to_a_call_that_was_just_given_up() -> None:
    room, came = WaitingRoom(1), list[str]()
    await room.enter("first")
    given_up = [await waiting(room, "gone", came) for _ in range(2)]
    ann = await waiting(room, "ann", came)
    for task in given_up:
        task.cancel()
    room.leave()
    await ann

    assert came == ["ann"]
    assert room.waiting == 0
    room.leave()
    assert [room.try_enter(), room.try_enter()] == [True, False]
