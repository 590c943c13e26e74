"""Whatever happens in whatever order, every order's money ends where it belongs.

`MONEY_EXAMPLES=2000 pytest tests/chaos/test_money_machine.py` looks longer than a usual run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from pintuan.base.stores.embedded import EmbeddedPostgres
from pintuan.money.payments import operations
from pintuan.money.payments.escalation import list_escalated
from pintuan.money.payments.sandbox.methods import PAYMENT_METHODS
from pricing.ladder import Ladder
from tests.chaos.money_world import ESCALATED_MAX, FAULTS, LADDER, LIST_PRICE, Fault, World, open_world
from tests.conftest import PostgresFixture

EXAMPLES = int(os.environ.get("MONEY_EXAMPLES", "25"))
STEPS = 30
# With the attempts that an old operation gets, more than the time after which it is given up.
OUTAGE_STEP_MS = 1 + operations.GIVE_UP_AGE_MS // operations.ATTEMPTS_BEFORE_AGE_COUNTS
NUMBERS = st.integers(0, 30)
TIMES_MS = st.sampled_from([400, 7_000, 11_000, 61_000, 301_000, 24 * 3_600_000])
T = TypeVar("T")


class MoneyMachine(RuleBasedStateMachine):
    """Drives one world; at the end of each run everything must add up."""

    server: ClassVar[EmbeddedPostgres]
    redis_url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opening = open_world(self.server, self.redis_url)
        self.world: World = self.run(self.opening.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        # Thousands of lines about troubles that are meant, with their tracebacks.
        with capture_logs():
            return self.runner.run(work)

    @initialize(methods=st.lists(st.sampled_from(sorted(PAYMENT_METHODS)), min_size=2, max_size=4))
    def found(self, methods: list[str]) -> None:
        """Most runs are worth more with a group in them."""
        for buyer, method in enumerate(methods):
            self.run(self.world.join(buyer, 1, method, where="best", number=0))

    @rule(
        buyer=st.integers(0, 9),
        quantity=st.integers(1, 3),
        method=st.sampled_from(["pm_ok", *sorted(PAYMENT_METHODS)]),
        where=st.sampled_from(["best", "group", "new", "alone"]),
        number=NUMBERS,
    )
    def join(self, buyer: int, quantity: int, method: str, where: str, number: int) -> None:
        self.run(self.world.join(buyer, quantity, method, where=where, number=number))

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        self.run(self.world.cancel(number))

    @rule(number=NUMBERS, amount=st.sampled_from([None, 1, 300, 700, 5_000]))
    def refund(self, number: int, amount: int | None) -> None:
        self.run(self.world.refund(number, amount))

    @rule(number=NUMBERS)
    def drain(self, number: int) -> None:
        self.run(self.world.drain(number))

    @rule()
    def everything_at_once(self) -> None:
        self.run(self.world.everything_at_once())

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=6), shut_books=st.integers(0, 3))
    def trouble(self, faults: list[Fault], shut_books: int) -> None:
        self.world.gateway.faults.extend(faults)
        self.world.gateway.shut_books += shut_books

    @rule(fault=st.sampled_from(FAULTS))
    def outage(self, fault: Fault) -> None:
        """Long enough that operations are given up."""
        world = self.world

        async def try_in_vain() -> None:
            world.gateway.shut_books = 100
            for _ in range(operations.ATTEMPTS_BEFORE_AGE_COUNTS + 1):
                world.gateway.faults.extend([fault] * 20)
                await world.everything_at_once()
                world.gateway.faults.clear()
                await world.pass_time(OUTAGE_STEP_MS)
            world.gateway.shut_books = 0

        self.run(try_in_vain())

    @rule(number=NUMBERS, effect=st.booleans())
    def kill(self, number: int, effect: bool) -> None:
        self.run(self.world.kill(number, effect=effect))

    @rule(limit=st.integers(1, 20))
    def months_pass(self, limit: int) -> None:
        """All that was under way ends, and what is over is archived, in one batch or in part."""
        self.run(self.world.settle_down())
        self.run(self.world.archive(limit))

    @rule(ms=TIMES_MS)
    def pass_time(self, ms: int) -> None:
        self.run(self.world.pass_time(ms))

    @precondition(lambda self: self.world.gateway.late)
    @rule()
    def deliver_late(self) -> None:
        self.run(self.world.deliver_late())

    @precondition(lambda self: self.world.gateway.reached)
    @rule(number=NUMBERS)
    def repeat(self, number: int) -> None:
        """A request reaches the bank once more, long after its answer."""
        reached = self.world.gateway.reached
        self.run(self.world.gateway.repeat(reached[number % len(reached)]))

    @precondition(lambda self: self.world.gateway.reached)
    @rule(number=NUMBERS, times=st.integers(1, 3))
    def hear(self, number: int, times: int) -> None:
        self.run(self.world.hear(number, times))

    @rule()
    def forget_redis(self) -> None:
        self.run(self.world.forget_redis())

    @rule()
    def look_again(self) -> None:
        self.run(self.world.look_again_at_everything())

    def teardown(self) -> None:
        try:
            self.run(self.check())
        finally:
            self.run(self.opening.__aexit__(None, None, None))
            self.runner.close()

    async def check(self) -> None:
        world = self.world
        await world.settle_down()
        assert await world.broken() == []
        await world.look_again_at_everything()
        await world.settle_down()
        assert await world.broken() == []
        assert await list_escalated(world.pool, count_max=ESCALATED_MAX) == []
        assert all(len(keys) == 1 for keys in world.gateway.keys.values()), "one key an operation"
        await self.check_orders()

    async def check_orders(self) -> None:
        """Recomputes what each order must have come to, without the product's own SQL."""
        pool = self.world.pool
        orders = await pool.fetch(
            "SELECT o.*, g.final_headcount, b.status AS bank, b.amount_minor AS held_minor, b.captured_minor,"
            " b.refunded_minor AS given_back_minor,"
            " (SELECT coalesce(sum(amount_minor), 0) FROM ledger_postings l"
            "  WHERE l.order_id = o.id AND account = 'gateway_clearing') AS cleared_minor,"
            " (SELECT coalesce(sum(amount_minor), 0) FROM ledger_postings l"
            "  WHERE l.order_id = o.id) AS sum_minor"
            " FROM every_order o LEFT JOIN groups g ON g.id = o.group_id"
            " LEFT JOIN sandbox_gateway.authorisations b ON b.reference = o.id"
        )
        for order in orders:
            paid = order["status"] in ("captured", "partially_refunded", "refunded")
            assert order["bank"] in (("captured",) if paid else ("voided", "declined", None)), order
            charge = charge_of(order) if paid else 0
            assert (order["captured_minor"] or 0) == charge, order
            assert order["refunded_minor"] == (order["given_back_minor"] or 0) <= charge, order
            assert order["cleared_minor"] == charge - order["refunded_minor"], order
            assert order["sum_minor"] == 0, order
            if order["bank"] is not None:
                assert order["held_minor"] == order["promised_unit_minor"] * order["quantity"], order


def charge_of(order: Any) -> int:
    """min(promise, tier) × quantity."""
    unit = LIST_PRICE
    if order["group_id"] is not None:
        unit = Ladder.of(LADDER).unit_price_at(order["final_headcount"], 2)
    return int(min(order["promised_unit_minor"], unit) * order["quantity"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_orders_money_ends_where_it_belongs(
    postgres: PostgresFixture, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A drain that stays for retries, or for an answer, would wait for time that does not pass by itself.
    monkeypatch.setattr(operations, "LINGER_S_MAX", -1.0)
    monkeypatch.setattr(operations, "CALL_DEADLINE_S", 0.05)

    class Machine(MoneyMachine):
        server = postgres.server

    Machine.redis_url = redis_url
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # On real stores the first failure as it is says more than minutes of shrinking.
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
