"""A small marketplace on real stores in which a test decides what happens next, time and gateway included.

Time does not pass by itself: `pass_time` moves every due time, deadline and age back instead, which is the
same to the statements. Processes are executors and engines with nothing in common but the stores.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import asyncpg
from redis.asyncio import Redis

from groups.cancellation import Cancellation
from groups.engine import GroupEngine, open_engine
from groups.errors import GroupsError
from pintuan.base.errors import Rejected
from pintuan.buying.archive.service import Archivist
from pintuan.money.gateway_events.schemas import GatewayEvent, Tells
from pintuan.money.gateway_events.service import keep_event
from pintuan.money.payments.circuit import Circuit
from pintuan.money.payments.escalation import list_escalated, look_again
from pintuan.money.payments.gateway import (
    Answer,
    AuthoriseCall,
    CaptureCall,
    GatewayError,
    GatewayTimeout,
    GatewayUnavailable,
    Payment,
    RefundCall,
    VoidCall,
)
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.refunds.schemas import NewRefund
from pintuan.money.refunds.service import ask_refund
from tests.auditing import audited
from tests.conftest import PostgresFixture, own_database
from tests.interleaving import LaneMemory
from tests.market import Market, digest

if TYPE_CHECKING:
    from pintuan.base.stores.embedded import EmbeddedPostgres

TEMPLATE = "pintuan_template"
LADDER: Final = ((2, 900), (3, 800), (4, 700))
LIST_PRICE: Final = 1000
GROUP_TTL_S: Final = 600
ESCALATED_MAX: Final = 1000
# Half a minute each: far more than a group, a grace, the retries and an escalation take one after another.
ROUNDS_MAX: Final = 120
ROUND_MS: Final = 30_000
# A request that the network held up arrives soon or never.
LATE_MS_MAX: Final = 60_000

_TOLD: Final[dict[type, Tells]] = {
    AuthoriseCall: "authorised",
    CaptureCall: "captured",
    VoidCall: "voided",
    RefundCall: "refunded",
}
Fault: TypeAlias = Literal["unavailable", "lost_before", "lost_after", "late", "slow", "crash"]
FAULTS: Final[tuple[Fault, ...]] = ("unavailable", "lost_before", "lost_after", "late", "slow", "crash")
Call: TypeAlias = AuthoriseCall | CaptureCall | VoidCall | RefundCall

_MOVES: Final = (
    "UPDATE payment_operations SET due_at = due_at - $1, created_at = created_at - $1,"
    " first_tried_at = first_tried_at - $1 WHERE ended_at IS NULL",
    "UPDATE groups SET opened_at = opened_at - $1, deadline = deadline - $1, closing_at = closing_at - $1,"
    " settle_by = settle_by - $1, settled_at = settled_at - $1 WHERE ended_at IS NULL",
    "UPDATE group_progress SET check_at = check_at - $1, watched_at = watched_at - $1"
    " WHERE check_at IS NOT NULL",
    "UPDATE orders SET hold_until = hold_until - $1 WHERE status = 'held'",
    "UPDATE seat_releases SET due_at = due_at - $1, created_at = created_at - $1",
)


@dataclass
class FaultyGateway:
    """The sandbox behind a bad line: a call takes the next of `faults`, a look-up one of `shut_books`."""

    sandbox: SandboxGateway
    faults: deque[Fault] = field(default_factory=deque)
    shut_books: int = 0
    late: list[Call] = field(default_factory=list)
    sent: list[Call] = field(default_factory=list)
    reached: list[Call] = field(default_factory=list)
    parked: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    keys: dict[tuple[object, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    authorisation_lifetime_ms: int = 7 * 24 * 3_600_000

    async def authorise(self, call: AuthoriseCall) -> Answer:
        return await self._receive(call)

    async def capture(self, call: CaptureCall) -> Answer:
        return await self._receive(call)

    async def void(self, call: VoidCall) -> Answer:
        return await self._receive(call)

    async def refund(self, call: RefundCall) -> Answer:
        return await self._receive(call)

    async def look_up(self, reference: str) -> Payment | None:
        if self.shut_books:
            self.shut_books -= 1
            raise GatewayUnavailable("the books are shut")
        return await self.sandbox.look_up(reference)

    async def carry_out(self, call: Call) -> Answer:
        """Does what reached the bank."""
        self.reached.append(call)
        match call:
            case AuthoriseCall():
                return await self.sandbox.authorise(call)
            case CaptureCall():
                return await self.sandbox.capture(call)
            case VoidCall():
                return await self.sandbox.void(call)
            case RefundCall():
                return await self.sandbox.refund(call)

    async def repeat(self, call: Call) -> None:
        """Lets a request reach the bank once more, with nobody waiting for the answer."""
        try:
            await self.carry_out(call)
        except GatewayError:
            return

    async def _receive(self, call: Call) -> Answer:
        self.sent.append(call)
        about = call.refund_reference if isinstance(call, RefundCall) else ""
        self.keys[type(call), call.reference, about].add(call.idempotency_key)
        self.arrived.set()
        if self.parked is not None:
            await self.parked.wait()
        match self.faults.popleft() if self.faults else None:
            case None:
                return await self.carry_out(call)
            case "unavailable":
                raise GatewayUnavailable("closed")
            case "lost_before":
                raise GatewayTimeout("the request was lost")
            case "late":
                self.late.append(call)
                raise GatewayTimeout("the request is on its way")
            case "lost_after":
                await self.carry_out(call)
                raise GatewayTimeout("the answer was lost")
            case "slow":
                await self.carry_out(call)
                await asyncio.Event().wait()
                raise AssertionError("nobody waits that long")
            case "crash":
                raise ZeroDivisionError("a fault of the client")


@dataclass
class World:
    """The marketplace; every method is one thing that may happen."""

    pool: asyncpg.Pool
    redis: Redis
    redis_url: str
    engine: GroupEngine
    gateway: FaultyGateway
    deal_id: str
    market: Market
    now_ms: int = 0
    executors: list[PaymentExecutor] = field(default_factory=list)
    keys: int = 0

    def start_executor(self) -> PaymentExecutor:
        """A worker's, in place of one that died."""
        return PaymentExecutor(
            self.pool, self.gateway, circuit=Circuit(read_time_s=lambda: self.now_ms / 1000)
        )

    async def join(self, buyer: int, quantity: int, method: str, *, where: str, number: int) -> None:
        """Sits a buyer down in the best group, in one that is open, or sells to them alone."""
        open_groups = await self.ids("SELECT id FROM groups WHERE status = 'open' ORDER BY id")
        group = open_groups[number % len(open_groups)] if where == "group" and open_groups else None
        wish = self.market.wish(
            f"buyer-{buyer}",
            deal=self.deal_id,
            group=group,
            verb={"alone": "solo", "new": "open"}.get(where),  # type: ignore[arg-type]  # Two of the verbs.
            quantity=quantity,
            method=method,
        )
        await _unless_refused(self.engine.place(wish))

    async def cancel(self, number: int) -> None:
        orders = await self.pool.fetch("SELECT id, buyer_id FROM every_order ORDER BY id")
        if orders:
            order = orders[number % len(orders)]
            wish = Cancellation(order["id"], order["buyer_id"], self.fresh_key(), b"")
            await _unless_refused(self.engine.cancel(wish))

    async def refund(self, number: int, amount: int | None) -> None:
        orders = await self.ids("SELECT id FROM every_order ORDER BY status <> 'captured', id")
        if orders:
            await _unless_refused(
                ask_refund(
                    self.pool,
                    orders[number % len(orders)],
                    NewRefund(amount=amount, reason="broken"),
                    merchant_id="acme",
                    asked_by="acme",
                    request_id=self.fresh_key(),
                    body_digest=b"",
                )
            )

    async def drain(self, number: int) -> None:
        await self.executors[number % len(self.executors)].drain()

    async def kill(self, number: int, *, effect: bool) -> None:
        """Ends a worker in the middle of its calls; those that had left may reach the bank all the same."""
        number %= len(self.executors)
        self.gateway.parked = asyncio.Event()
        self.gateway.arrived.clear()
        sent = len(self.gateway.sent)
        drain = asyncio.create_task(self.executors[number].drain())
        arrived = asyncio.create_task(self.gateway.arrived.wait())
        await asyncio.wait({drain, arrived}, return_when=asyncio.FIRST_COMPLETED)
        drain.cancel()
        arrived.cancel()
        await asyncio.gather(drain, arrived, return_exceptions=True)
        self.gateway.parked = None
        self.executors[number] = self.start_executor()
        if effect:
            for call in self.gateway.sent[sent:]:
                await self.gateway.repeat(call)

    async def everything_at_once(self) -> None:
        """Two settlers, two executors, and the sweeps, in no order."""
        await asyncio.gather(
            self.engine.advance_due_groups(10),
            self.engine.advance_due_groups(10),
            *(executor.drain() for executor in self.executors),
            self.engine.expire_unpaid(10),
            self.engine.apply_seat_releases(100),
        )

    async def archive(self, limit: int) -> None:
        """Moves what is over by now, as if it had been for months."""
        archivist = Archivist(self.pool, age_ms=0)
        await archivist.archive_groups(limit)
        await archivist.archive_solo_orders(limit)

    async def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        if ms >= LATE_MS_MAX:
            self.gateway.late.clear()
        async with self.pool.acquire() as connection, connection.transaction():
            for move in _MOVES:
                await connection.execute(move.replace("$1", f"interval '{ms} milliseconds'"))

    async def deliver_late(self) -> None:
        """What the network held up arrives, in the opposite order."""
        while self.gateway.late:
            await self.gateway.repeat(self.gateway.late.pop())

    async def hear(self, number: int, times: int) -> None:
        """The bank tells of a request that reached it, in any order and more than once."""
        index = number % len(self.gateway.reached)
        call = self.gateway.reached[index]
        event = GatewayEvent(
            id=f"evt_{index}",
            kind=type(call).__name__,
            tells=_TOLD[type(call)],
            reference=call.reference,
            payment_ref=None,
            refund_reference=call.refund_reference if isinstance(call, RefundCall) else None,
        )
        heard = [await keep_event(self.pool, "sandbox", event) for _ in range(times)]
        assert sum(heard) <= 1, "an event counts once"

    async def look_again_at_everything(self) -> None:
        for one in await list_escalated(self.pool, count_max=ESCALATED_MAX):
            await look_again(self.pool, one.name)

    async def forget_redis(self) -> None:
        await self.redis.flushall()

    async def settle_down(self) -> None:
        """Heals the gateway and lets time pass until nothing is left to do."""
        self.gateway.faults.clear()
        self.gateway.shut_books = 0
        for _ in range(ROUNDS_MAX):
            await self.everything_at_once()
            if not await self.left_over():
                return
            await self.pass_time(ROUND_MS)
        raise AssertionError(f"left over: {await self.left_over()}")

    async def left_over(self) -> list[Any]:
        """What is still under way: payments, groups, held seats."""
        return [
            tuple(row)
            for row in await self.pool.fetch(
                "SELECT order_id, kind, state FROM payment_operations WHERE ended_at IS NULL"
                " UNION ALL SELECT id, 'group', status FROM groups WHERE ended_at IS NULL"
                " UNION ALL SELECT id, 'order', status FROM orders WHERE status = 'held'"
                " UNION ALL SELECT order_id, 'release', 'due' FROM seat_releases"
            )
        ]

    async def broken(self) -> list[Any]:
        """What the audit finds, once seats that nobody recorded were freed as sweeps do."""
        await LaneMemory.of(self.redis, self.deal_id).age_pending()
        await self.engine.reconcile_orphans()
        report = await audited(self.pool, self.redis_url)
        return [check for check in report.checks if check.offenders]

    async def ids(self, query: str) -> list[str]:
        return [row["id"] for row in await self.pool.fetch(query)]

    def fresh_key(self) -> bytes:
        self.keys += 1
        return digest("key", self.keys)


@asynccontextmanager
async def open_world(server: EmbeddedPostgres, redis_url: str) -> AsyncIterator[World]:
    """A world of its own database and an empty Redis, for the life of the block."""
    async with AsyncExitStack() as stack:
        maintenance = await asyncpg.connect(server.url_of("postgres"))
        stack.push_async_callback(maintenance.close)
        url = await stack.enter_async_context(
            own_database(PostgresFixture(server, maintenance), template=TEMPLATE)
        )
        pool = await stack.enter_async_context(asyncpg.create_pool(url, min_size=1, max_size=8))
        redis = await stack.enter_async_context(Redis.from_url(redis_url, socket_timeout=5.0))
        await redis.flushall()
        engine = await stack.enter_async_context(open_engine(pool, redis_url, rates=None))
        market = Market(pool)
        deal_id = await market.deal(
            ladder=LADDER,
            min_headcount=2,
            max_headcount=4,
            ttl_s=GROUP_TTL_S,
            stock=40,
            list_price=LIST_PRICE,
        )
        gateway = FaultyGateway(SandboxGateway(pool, pause=_at_once))
        world = World(pool, redis, redis_url, engine, gateway, deal_id, market)
        world.executors = [world.start_executor(), world.start_executor()]
        yield world


async def _at_once(_seconds: float) -> None:
    """How long a slow card takes where time does not pass by itself."""


async def _unless_refused(wish: Any) -> None:
    """Lets anybody try what may be refused."""
    try:
        await wish
    except (GroupsError, Rejected):
        return
