"""Lanes on a Redis Cluster: slots that move, servers that die, and what each server knows of Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import psutil
import pytest
from redis.crc import key_slot

from groups.cluster import ClusterConnections
from groups.connections import Lent
from groups.engine import GroupEngine, open_engine
from groups.errors import Overloaded, Refused, SoldOut, TryAgain
from groups.history import follow_history
from groups.keys import Lane, LaneKeys, history_key
from groups.lane_store import LaneStore
from groups.listeners import Listeners
from groups.placement import Placement, Recorded
from groups.rebuild import Rebuilder
from groups.reconciler import Reconciler
from tests.integration.groups.conftest import check_sound
from tests.interleaving import lane_store
from tests.market import Market, buyer_of_lane
from tests.redis_cluster import Cluster, ClusterServer
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LANES = 6
RETRY_S = 0.02
INSIST_S_MAX = 40.0
PROMOTIONS_MAX = 5
PROMOTION_S_MAX = 6.0


@pytest.fixture
def redis_url(own_cluster: Cluster) -> str:
    """The cluster's, so that the engine and the audit are on it."""
    return own_cluster.url


@pytest.fixture
async def another_engine(pool: asyncpg.Pool, redis_url: str) -> AsyncIterator[GroupEngine]:
    async with open_engine(pool, redis_url, rates=None) as engine:
        yield engine


def slot_of(lane: Lane) -> int:
    return key_slot(LaneKeys.of(lane).meta.encode())


async def insist(engine: GroupEngine, wish: Placement) -> Recorded | Refused:
    """Calls again with the same key until there is a decision."""
    async with asyncio.timeout(INSIST_S_MAX):
        while True:
            try:
                return await engine.place(wish)
            except Refused as refusal:
                return refusal
            except TryAgain:
                await asyncio.sleep(RETRY_S)


@dataclass
class Crowd:
    """Buyers of one deal who come one after the other, to several processes, and insist."""

    market: Market
    engines: list[GroupEngine]
    deal: str
    seated: dict[str, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    async def shop(self, count: int, *, pause_s: float = 0.005) -> None:
        async with asyncio.TaskGroup() as buyers:
            for number in range(count):
                buyers.create_task(self._buy(number))
                await asyncio.sleep(pause_s)

    async def _buy(self, number: int) -> None:
        wish = self.market.wish(f"buyer-{number}", deal=self.deal)
        outcome = await insist(self.engines[number % len(self.engines)], wish)
        if isinstance(outcome, Refused):
            self.refused.append(outcome)
        else:
            self.seated[f"buyer-{number}"] = outcome.order_id

    async def reached(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.seated) >= count

        await until(enough)

    async def assert_all_kept(self) -> None:
        """Every acknowledged order is in Postgres, and there is no other."""
        orders = await self.market.pool.fetch("SELECT id, buyer_id FROM orders WHERE deal_id = $1", self.deal)
        assert {row["buyer_id"]: row["id"] for row in orders} == self.seated


async def assert_sound(pool: asyncpg.Pool, redis_url: str) -> None:
    """Frees what nobody recorded, as the workers do ten seconds later, and then looks at everything."""
    async with lane_store(redis_url) as store:
        await Reconciler(pool, store, Listeners(), orphan_age_ms=0).reconcile_orphans()
    await check_sound(pool, redis_url)


async def test_joins_go_on_while_the_slots_of_their_lanes_are_moved(
    own_cluster: Cluster, pool: asyncpg.Pool, market: Market, engine: GroupEngine, another_engine: GroupEngine
) -> None:
    deal = await market.deal(stock=400, lanes=LANES)
    crowd = Crowd(market, [engine, another_engine], deal)
    shopping = asyncio.create_task(crowd.shop(300))
    moved: dict[Lane, ClusterServer] = {}
    for lane_no in range(LANES):
        await crowd.reached(30 * (lane_no + 1))
        lane = Lane(deal, lane_no)
        holder = await own_cluster.holder_of(slot_of(lane))
        moved[lane] = own_cluster.primaries[(own_cluster.primaries.index(holder) + 1) % 3]

        async def meanwhile(buyer: str = buyer_of_lane(lane_no, LANES)) -> None:
            # A lane of which only half is there says nothing, and its buyers are told to come back.
            with pytest.raises(Overloaded):
                await engine.place(market.wish(buyer, deal=deal))

        await own_cluster.move_slot(slot_of(lane), moved[lane], halfway=meanwhile if lane_no == 0 else None)
    await shopping

    assert len(crowd.seated) == 300
    await crowd.assert_all_kept()
    for lane, holder in moved.items():
        assert await own_cluster.holder_of(slot_of(lane)) is holder
    async with lane_store(own_cluster.url) as store:
        epochs = [await Rebuilder(pool, store, Listeners()).epoch_of(lane) for lane in moved]
        assert [await store.is_warm(lane, epoch) for lane, epoch in zip(moved, epochs, strict=True)]
    await assert_sound(pool, own_cluster.url)


async def test_a_server_that_dies_and_comes_back_holds_up_its_own_lanes_only(
    own_cluster: Cluster, pool: asyncpg.Pool, market: Market, engine: GroupEngine, another_engine: GroupEngine
) -> None:
    deal = await market.deal(stock=120, lanes=LANES)
    crowd = Crowd(market, [engine, another_engine], deal)
    shopping = asyncio.create_task(crowd.shop(180))
    await crowd.reached(60)
    victim = await own_cluster.holder_of(slot_of(Lane(deal, 0)))
    if victim is own_cluster.primaries[0]:
        # Nobody may take its place in this test.
        await own_cluster.replicas[0].kill()
    await victim.kill()

    other = await market.deal(lanes=LANES)
    away = {lane_no for lane_no in range(LANES) if await holder_is(own_cluster, Lane(other, lane_no), victim)}
    served = next(lane_no for lane_no in range(LANES) if lane_no not in away)
    placed = await insist(engine, market.wish(buyer_of_lane(served, LANES), deal=other))
    assert isinstance(placed, Recorded)
    for lane_no in away:
        with pytest.raises(TryAgain):
            await engine.place(market.wish(buyer_of_lane(lane_no, LANES), deal=other))

    await victim.start()
    await victim.wait_ready()
    await shopping
    assert all(isinstance(refusal, SoldOut) for refusal in crowd.refused)
    assert len(crowd.seated) + len(crowd.refused) == 180
    await crowd.assert_all_kept()
    await assert_sound(pool, own_cluster.url)
    # What the dead server had given out and nobody recorded is free again, and is sold to the last unit.
    for number in range(180, 320):
        outcome = await insist(engine, market.wish(f"buyer-{number}", deal=deal))
        if isinstance(outcome, Refused):
            break
        crowd.seated[f"buyer-{number}"] = outcome.order_id
    assert len(crowd.seated) == 120
    await crowd.assert_all_kept()
    await assert_sound(pool, own_cluster.url)


async def holder_is(cluster: Cluster, lane: Lane, server: ClusterServer) -> bool:
    return await cluster.holder_of(slot_of(lane)) is server


async def test_a_promoted_replica_takes_over_and_its_lanes_are_rebuilt(
    own_cluster: Cluster, pool: asyncpg.Pool, market: Market, engine: GroupEngine, another_engine: GroupEngine
) -> None:
    victim, [replica] = own_cluster.primaries[0], own_cluster.replicas
    deal = await deal_on(own_cluster, market, victim)
    crowd = Crowd(market, [engine, another_engine], deal)
    shopping = asyncio.create_task(crowd.shop(200))
    await crowd.reached(60)
    await victim.kill()
    await shopping

    assert len(crowd.seated) == 200
    assert await own_cluster.holder_of(slot_of(Lane(deal, 0))) is replica
    await crowd.assert_all_kept()
    await assert_sound(pool, own_cluster.url)
    # Back as a replica, and promoted in its turn, the former primary is another server to the lanes.
    await victim.start()
    await victim.wait_ready()
    await until(own_cluster.is_whole)
    await promote(own_cluster, victim, replica)
    assert isinstance(await insist(engine, market.wish("late", deal=deal)), Recorded)
    assert await own_cluster.holder_of(slot_of(Lane(deal, 0))) is victim
    await assert_sound(pool, own_cluster.url)


async def deal_on(cluster: Cluster, market: Market, server: ClusterServer) -> str:
    """A deal whose only lane is on a server."""
    for _ in range(100):
        deal = await market.deal(stock=300)
        if await holder_is(cluster, Lane(deal, 0), server):
            return deal
    raise AssertionError("no deal falls to this server")


async def promote(cluster: Cluster, server: ClusterServer, former: ClusterServer) -> None:
    """Makes a replica the primary while both run, as for maintenance."""

    slots = await cluster.slots_of(former)

    async def leads() -> bool:
        roles = [(await known.call("INFO", "replication"))["role"] for known in (server, former)]
        # Whoever asks for the slots may ask any server, and news travels from one to the next.
        return roles == ["master", "slave"] and await cluster.all_agree(server, slots)

    # Nobody votes twice within two seconds, and a promotion that gets no votes is given up after five.
    for _ in range(PROMOTIONS_MAX):
        await server.call("CLUSTER", "FAILOVER")
        with suppress(TimeoutError):
            await until(leads, within_s=PROMOTION_S_MAX)
            return
    raise AssertionError("nobody votes for the replica")


async def test_every_server_knows_by_itself_how_far_postgres_had_come(
    own_cluster: Cluster, pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    deals = [await deal_on(own_cluster, market, server) for server in own_cluster.primaries]
    for deal in deals:
        await engine.place(market.wish("ann", deal=deal))
    async with lane_store(own_cluster.url) as store:
        assert not await follow_history(pool, store)
        keys = [history_key(tag) for tag in (await store.connections.homes()).values()]
        assert len(keys) == 3
        assert all([await store.holds(Lane(deal, 0)) for deal in deals])
        # Only one of them saw the later state, of which a restored Postgres knows nothing.
        await store.execute("HSET", keys[1], "position", 2**62)

        assert await follow_history(pool, store)

        assert not any([await store.holds(Lane(deal, 0)) for deal in deals])
        assert not await follow_history(pool, store)
    await engine.place(market.wish("ben", deal=deals[0]))
    await assert_sound(pool, own_cluster.url)


async def test_a_silent_server_keeps_nobody_from_following_postgres(
    own_cluster: Cluster, pool: asyncpg.Pool
) -> None:
    async with lane_store(own_cluster.url) as store:
        await follow_history(pool, store)
        await own_cluster.primaries[1].kill()
        before = [(await store.execute("HGET", key, "position")) for key in await answering_keys(store)]
        await pool.execute("SELECT pg_switch_wal()")
        assert not await follow_history(pool, store)
        after = [(await store.execute("HGET", key, "position")) for key in await answering_keys(store)]
    assert len(before) == len(after) == 2
    assert all(int(later) > int(earlier) for earlier, later in zip(before, after, strict=True))


async def answering_keys(store: LaneStore) -> list[str]:
    """The keys of the histories of servers that answer."""
    keys = []
    for tag in (await store.connections.homes()).values():
        try:
            await store.execute("EXISTS", history_key(tag))
        except Overloaded:
            continue
        keys.append(history_key(tag))
    return keys


async def test_a_server_that_leads_again_does_not_believe_in_its_lanes_of_before(
    own_cluster: Cluster, pool: asyncpg.Pool, market: Market, engine: GroupEngine
) -> None:
    former, [replica] = own_cluster.primaries[0], own_cluster.replicas
    deal = await deal_on(own_cluster, market, former)
    await engine.place(market.wish("ann", deal=deal))
    async with lane_store(own_cluster.url) as store:
        await follow_history(pool, store)
        await promote(own_cluster, replica, former)
        await follow_history(pool, store)
        # Whatever the lane missed meanwhile: its token is still the former's.
        await store.execute("HSET", LaneKeys.of(Lane(deal, 0)).meta, "units_left", 0)
        await promote(own_cluster, former, replica)
        epoch = await pool.fetchval("SELECT epoch FROM lanes WHERE deal_id = $1", deal)
        assert await store.is_warm(Lane(deal, 0), epoch)

        assert not await follow_history(pool, store)

        assert not await store.holds(Lane(deal, 0))
    assert isinstance(await insist(engine, market.wish("ben", deal=deal)), Recorded)
    await assert_sound(pool, own_cluster.url)


async def test_calls_of_lanes_on_one_server_can_share_a_connection(own_cluster: Cluster) -> None:
    connections = ClusterConnections(own_cluster.url)
    try:
        assert connections.home_of("{a}:x") is None
        homes = await connections.homes()
        assert sorted(home.port for home in homes) == sorted(server.port for server in own_cluster.primaries)
        for home, tag in homes.items():
            key = f"{{{tag}}}:x"
            assert connections.home_of(key) == home
            async with connections.lend(key) as lent:
                assert await lent.call_all([("SET", key, "1"), ("GET", key)]) == [b"OK", b"1"]
                server = next(server for server in own_cluster.primaries if server.port == home.port)
                assert lent.run_id == await server.run_id()
    finally:
        await connections.close()


async def test_keys_on_their_way_are_found_on_either_side_but_not_together(own_cluster: Cluster) -> None:
    connections = ClusterConnections(own_cluster.url)
    keys = ("{way}a", "{way}b")

    async def call(command: str, *arguments: str) -> object:
        return await connections.run(arguments[0], lambda lent: lent.call(command, *arguments))

    async def halfway() -> None:
        assert [await call("GET", key) for key in keys] == [b"1", b"1"]
        with pytest.raises(Overloaded):
            await call("MGET", *keys)

    try:
        for key in keys:
            await call("SET", key, "1")
        source = await own_cluster.holder_of(key_slot(b"way"))
        target = next(server for server in own_cluster.primaries if server is not source)
        await own_cluster.move_slot(key_slot(b"way"), target, halfway=halfway)
        assert [await call("GET", key) for key in keys] == [b"1", b"1"]
        home = connections.home_of(keys[0])
        assert home is not None
        assert home.port == target.port
    finally:
        await connections.close()


async def test_a_server_that_hangs_is_not_waited_for_again_and_again(own_cluster: Cluster) -> None:
    victim = own_cluster.primaries[1]
    assert victim.pid is not None
    connections = ClusterConnections(own_cluster.url)

    async def ping(lent: Lent) -> object:
        return await lent.call("PING")

    async def answers() -> bool:
        with suppress(Overloaded):
            return await connections.run(key, ping) == b"PONG"
        return False

    try:
        homes = await connections.homes()
        key = next(f"{{{tag}}}:x" for home, tag in homes.items() if home.port == victim.port)
        psutil.Process(victim.pid).suspend()
        # One call may have had a connection from before, and another finds that there is none to be had.
        for _ in range(2):
            assert not await answers()
        with pytest.raises(Overloaded, match=f":{victim.port} does not answer"):
            await connections.run(key, ping)
        psutil.Process(victim.pid).resume()
        await until(answers)
    finally:
        psutil.Process(victim.pid).resume()
        await connections.close()


async def test_lanes_of_other_servers_do_not_wait_for_one_that_hangs(
    own_cluster: Cluster, market: Market, engine: GroupEngine
) -> None:
    victim, well = own_cluster.primaries[1], own_cluster.primaries[2]
    assert victim.pid is not None
    held_up = [await deal_on(own_cluster, market, victim) for _ in range(4)]
    deals = [await deal_on(own_cluster, market, well) for _ in range(4)]
    for deal in [*held_up, *deals]:
        await engine.place(market.wish("ann", deal=deal))
    psutil.Process(victim.pid).suspend()
    try:
        waiting = [asyncio.create_task(engine.place(market.wish("ben", deal=deal))) for deal in held_up]
        await asyncio.gather(*(engine.place(market.wish("ben", deal=deal)) for deal in deals))
        assert not any(call.done() for call in waiting)
    finally:
        psutil.Process(victim.pid).resume()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Recorded | TryAgain) for outcome in outcomes)
