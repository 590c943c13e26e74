"""Groups, orders and payment operations written straight into the database, for tests below the engine.

Each factory keeps the counts that belong to its row (units of the buyer and of the lane), so that constraints
and triggers work on it as on a row the engine wrote.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from groups.ids import new_id, new_share_code
from tests.market import Market, digest
from tests.poison import make_second_tries_due

PRICE_MINOR = 900


@dataclass
class Rows:
    """Makes rows of one deal; `deal_id` is filled by `open`."""

    pool: asyncpg.Pool
    deal_id: str = ""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def open(
        cls,
        pool: asyncpg.Pool,
        *,
        stock: int = 1000,
        capacity: int = 10,
        new_cards: int | None = None,
        merchant: str = "acme",
    ) -> Rows:
        """Makes the deal that all rows belong to."""
        deal_id = await Market(pool).deal(
            stock=stock, max_headcount=capacity, min_headcount=2, new_cards=new_cards, merchant=merchant
        )
        return cls(pool, deal_id)

    async def group(self, *, capacity: int = 10) -> str:
        """An open group with nobody in it, whose deadline is ten minutes away."""
        group_id = new_id("grp")
        await self.pool.execute(
            "INSERT INTO groups (id, deal_id, lane_no, share_code, leader_order_id, capacity, min_headcount,"
            " tier_headcounts, tier_prices_minor, currency, opened_at, deadline)"
            " SELECT $1, id, 0, $3, 'nobody', $4, min_headcount, tier_headcounts, tier_prices_minor,"
            " currency, app_now(), app_now() + interval '10 minutes' FROM deals WHERE id = $2",
            group_id,
            self.deal_id,
            new_share_code(),
            capacity,
        )
        await self.pool.execute(
            "INSERT INTO group_progress (group_id, capacity, check_at)"
            " VALUES ($1, $2, app_now() + interval '10 minutes')",
            group_id,
            capacity,
        )
        return group_id

    async def order(
        self,
        *,
        group: str | None = None,
        method: str = "pm_ok",
        quantity: int = 1,
        price_minor: int = PRICE_MINOR,
    ) -> str:
        """A held order with its authorisation due now; without a group it is a solo purchase."""
        order_id, number = new_id("ord"), next(self._numbers)
        buyer_id = f"buyer-{number}"
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO orders (id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id,"
                " quantity, currency, promised_unit_minor, payment_method, request_id, hold_until,"
                " created_at, updated_at)"
                " SELECT $1, $2, 0, $3, CASE WHEN $3::text IS NULL THEN NULL ELSE 1 +"
                " (SELECT count(*) FROM orders WHERE group_id = $3) END,"
                " (SELECT capacity FROM groups WHERE id = $3), $4, $5, 'USD', $6, $7, $8,"
                " app_now() + interval '1 minute', app_now(), app_now()",
                order_id,
                self.deal_id,
                group,
                buyer_id,
                quantity,
                price_minor,
                method,
                digest(order_id),
            )
            await connection.execute(
                "INSERT INTO deal_buyers (deal_id, buyer_id, units) VALUES ($1, $2, $3)",
                self.deal_id,
                buyer_id,
                quantity,
            )
            await connection.execute(
                "UPDATE lanes SET sold_units = sold_units + $2 WHERE deal_id = $1", self.deal_id, quantity
            )
        await self.operation(order_id, "authorise", amount_minor=price_minor * quantity)
        return order_id

    async def operation(self, order_id: str, kind: str, *, amount_minor: int = PRICE_MINOR) -> None:
        """An operation that is due now."""
        await self.pool.execute(
            "INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)"
            " VALUES ($1, $2, $3, 'USD', app_now(), app_now())",
            order_id,
            kind,
            amount_minor,
        )

    async def charge(self, *order_ids: str, price_minor: int = PRICE_MINOR) -> None:
        """Does to authorised orders what a settlement does: fixes the price and makes the capture due."""
        for order_id in order_ids:
            await self.pool.execute(
                "UPDATE orders SET final_unit_minor = $2 WHERE id = $1", order_id, price_minor
            )
            await self.operation(order_id, "capture", amount_minor=price_minor)

    async def move(self, order_id: str, status: str) -> None:
        """Does to an order what expiring or cancelling does."""
        await self.pool.execute("UPDATE orders SET status = $2 WHERE id = $1", order_id, status)

    async def make_due(self) -> None:
        """Lets the pause before every repetition, and every lease, be over."""
        await self.pool.execute(
            "UPDATE payment_operations SET due_at = app_now() WHERE ended_at IS NULL AND due_at > app_now()"
        )
        await make_second_tries_due(self.pool)

    async def status(self, order_id: str) -> str:
        """The order's status."""
        status: str = await self.pool.fetchval("SELECT status FROM orders WHERE id = $1", order_id)
        return status

    async def has_status(self, order_id: str, status: str) -> bool:
        """Whether the order has that status."""
        return await self.status(order_id) == status

    async def operations(self, order_id: str) -> dict[str, str]:
        """The states of the order's operations by kind."""
        rows = await self.pool.fetch(
            "SELECT kind, state FROM payment_operations WHERE order_id = $1", order_id
        )
        return {row["kind"]: row["state"] for row in rows}

    async def one(self, statement: str, *arguments: Any) -> asyncpg.Record:
        """The only row of a question."""
        (row,) = await self.pool.fetch(statement, *arguments)
        return row
