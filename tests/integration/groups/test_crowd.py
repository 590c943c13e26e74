"""Many processes, many groups, everything at once: no error reaches a caller and every invariant holds."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable

import pytest
from redis.asyncio import Redis

from groups.cancellation import Cancellation
from groups.engine import GroupEngine
from groups.errors import Refused, TryAgain
from groups.placement import Placement, Recorded
from tests.integration.groups.conftest import Sound
from tests.interleaving import outcomes_of, processes
from tests.market import Market, digest

pytestmark = pytest.mark.anyio

ROUNDS = 15
SEED = 8


def answers(outcomes: list[object]) -> Counter[str]:
    """Counts the outcomes by kind; anything that is neither an answer nor a refusal is raised."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refused | TryAgain):
            raise outcome
    return Counter(type(outcome).__name__ for outcome in outcomes)


async def test_overlapping_batches_of_shuffled_groups_never_deadlock_in_front_of_a_caller(
    market: Market, database_url: str, redis_url: str, sound: Sound
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same crowd every time
    deal = await market.deal(stock=2_000, max_headcount=40, per_buyer=20)
    async with processes(database_url, redis_url, 3) as engines:
        opened = [await engines[0].place(market.wish(f"host-{n}", deal=deal, verb="open")) for n in range(8)]
        groups = [await market.group_of(placed.order_id) for placed in opened]
        seen: Counter[str] = Counter()
        for round_no in range(ROUNDS):
            buyers = [f"buyer-{chance.randrange(25)}" for _ in range(8)]
            calls = []
            for one in engines:
                chance.shuffle(groups)
                # The same buyers in the same groups through every process, in another order in each.
                calls += [
                    one.place(market.wish(buyer, group=group, key=f"{round_no}-{chance.randrange(3)}"))
                    for buyer, group in zip(buyers, groups, strict=True)
                ]
            chance.shuffle(calls)
            seen += answers(await outcomes_of(calls))
    assert seen["Recorded"] > ROUNDS
    assert not seen["Overloaded"], seen
    await sound()


async def test_joining_paying_leaving_expiring_and_settling_at_once_keeps_every_invariant(
    market: Market, database_url: str, redis_url: str, redis: Redis, sound: Sound
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same crowd every time
    deal = await market.deal(
        stock=60, max_headcount=6, min_headcount=2, ladder=((2, 900), (4, 800)), per_buyer=3
    )
    seen: Counter[str] = Counter()
    wishes: dict[str, Placement] = {}

    async def join(one: GroupEngine, n: int) -> Recorded:
        wish = market.wish(f"buyer-{n % 40}", deal=deal, quantity=1 + n % 2)
        placed = await one.place(wish)
        wishes[placed.order_id] = wish
        return placed

    async def pay(order_id: str) -> None:
        status = chance.choice(["authorised", "declined"])
        await market.pool.execute(
            "WITH paid AS (UPDATE orders SET status = $2 WHERE id = $1 AND status = 'held' RETURNING id)"
            " UPDATE payment_operations p SET state = $3, ended_at = app_now() FROM paid"
            " WHERE p.order_id = paid.id AND p.kind = 'authorise'",
            order_id,
            status,
            "succeeded" if status == "authorised" else "declined",
        )

    async def leave(one: GroupEngine, order_id: str) -> str:
        buyer = wishes[order_id].buyer_id
        return await one.cancel(Cancellation(order_id, buyer, digest("leave", order_id), b""))

    async with processes(database_url, redis_url, 3) as engines:
        for round_no in range(ROUNDS):
            held = [order["id"] for order in await market.orders(deal_id=deal, status="held")]
            live = held + [order["id"] for order in await market.orders(deal_id=deal, status="authorised")]
            running = await market.pool.fetch("SELECT id FROM groups WHERE status = 'open' ORDER BY id")
            if running and round_no % 3 == 2:
                await market.pass_deadline(chance.choice(running)["id"])
            calls: list[Awaitable[object]] = []
            calls += [join(chance.choice(engines), chance.randrange(400)) for _ in range(15)]
            calls += [pay(order_id) for order_id in chance.sample(held, len(held) // 2)]
            calls += [
                leave(chance.choice(engines), order_id) for order_id in chance.sample(live, len(live) // 5)
            ]
            calls += [one.advance_due_groups(20) for one in engines]
            calls += [one.apply_seat_releases(20) for one in engines]
            if round_no % 5 == 4:
                calls.append(redis.flushall())
            chance.shuffle(calls)
            seen += answers(await outcomes_of(calls))
            await market.end_operations("capture")
            await market.end_operations("void")
        await market.pass_hold()
        while await engines[0].expire_unpaid(50):
            pass
        # A lane that was being rebuilt is told of seats that ended meanwhile a little later.
        await market.pool.execute("UPDATE seat_releases SET due_at = app_now()")
        while await engines[0].apply_seat_releases(50):
            pass
        replays = await asyncio.gather(*(engines[1].place(wish) for wish in wishes.values()))
    assert {replay.order_id for replay in replays} == set(wishes)
    assert all(replay.replayed for replay in replays)
    assert seen["Recorded"] > ROUNDS
    await sound()
