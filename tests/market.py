"""Deals made straight in the database, and the questions tests ask of what became of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import asyncpg

from groups.desk import home_lane
from groups.ids import new_id
from groups.placement import Placement, Verb

BUYERS_MAX = 1_000
LADDER = ((2, 900), (5, 800), (10, 700))


def digest(*parts: object) -> bytes:
    """A 16-byte digest, for request ids and bodies."""
    return blake2b(repr(parts).encode(), digest_size=16).digest()


def buyer_of_lane(lane_no: int, lanes: int, *, besides: str = "") -> str:
    """Somebody whom a deal of `lanes` lanes seats in this one first."""
    names = (f"buyer-{n}" for n in range(BUYERS_MAX))
    return next(name for name in names if name != besides and home_lane(name, lanes) == lane_no)


@dataclass
class Market:
    """One merchant's deals on a test's own database."""

    pool: asyncpg.Pool
    _keys: itertools.count[int] = field(default_factory=itertools.count)

    async def deal(
        self,
        *,
        stock: int = 100,
        min_headcount: int = 3,
        max_headcount: int = 10,
        ladder: tuple[tuple[int, int], ...] | None = None,
        ttl_s: float = 600,
        per_buyer: int = 10,
        lanes: int = 1,
        list_price: int = 1000,
        new_cards: int | None = None,
        merchant: str = "acme",
    ) -> str:
        """Makes a running deal and returns its id. `ladder` is (headcount, unit price) steps."""
        steps = ladder or tuple(step for step in LADDER if step[0] <= max_headcount)
        deal_id, product_id, variant_id = new_id("deal"), new_id("prd"), new_id("var")
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO merchants (id) VALUES ($1) ON CONFLICT DO NOTHING", merchant
            )
            await connection.execute(
                "INSERT INTO products (id, merchant_id, title) VALUES ($1, $2, 'Tea')", product_id, merchant
            )
            await connection.execute(
                "INSERT INTO variants"
                " (id, product_id, merchant_id, position, sku, title, list_price_minor, currency)"
                " VALUES ($1, $2, $4, 1, 'TEA-1', 'Tea', $3, 'USD')",
                variant_id,
                product_id,
                list_price,
                merchant,
            )
            await connection.execute(
                "INSERT INTO deals"
                " (id, merchant_id, product_id, variant_id, title, currency, list_price_minor,"
                " tier_headcounts, tier_prices_minor, min_headcount, max_headcount, group_ttl_ms,"
                " stock_units, per_buyer_units, lane_count, new_cards_per_group)"
                " VALUES ($1, $14, $2, $3, 'Tea', 'USD', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                deal_id,
                product_id,
                variant_id,
                list_price,
                [headcount for headcount, _ in steps],
                [price for _, price in steps],
                min_headcount,
                max_headcount,
                round(ttl_s * 1000),
                stock,
                per_buyer,
                lanes,
                new_cards,
                merchant,
            )
            for lane_no in range(lanes):
                share = stock // lanes + (lane_no < stock % lanes)
                await connection.execute(
                    "INSERT INTO lanes (deal_id, lane_no, stock_units) VALUES ($1, $2, $3)",
                    deal_id,
                    lane_no,
                    share,
                )
        return deal_id

    def wish(
        self,
        buyer: str,
        *,
        deal: str = "",
        group: str | None = None,
        verb: Verb | None = None,
        quantity: int = 1,
        key: str | None = None,
        body: object = None,
        method: str = "pm_ok",
    ) -> Placement:
        """A placement with a fresh key, unless `key` repeats one."""
        key = key or f"key-{next(self._keys)}"
        return Placement(
            verb=verb or ("group" if group else "best"),
            deal_id=deal,
            group_id=group,
            buyer_id=buyer,
            quantity=quantity,
            payment_method=method,
            request_id=digest(buyer, deal, group, key),
            body_digest=digest(body or (quantity, method)),
        )

    async def orders(self, **conditions: Any) -> list[asyncpg.Record]:
        """The orders that match, by group and seat."""
        where = " AND ".join(f"{name} = ${index}" for index, name in enumerate(conditions, 1)) or "true"
        return await self.pool.fetch(
            f"SELECT * FROM orders WHERE {where} ORDER BY group_id, seat",  # noqa: S608 - names come from tests
            *conditions.values(),
        )

    async def order(self, order_id: str) -> asyncpg.Record:
        (row,) = await self.orders(id=order_id)
        return row

    async def group(self, group_id: str) -> asyncpg.Record:
        row = await self.pool.fetchrow("SELECT * FROM groups WHERE id = $1", group_id)
        assert row is not None
        return row

    async def lane(self, deal_id: str, lane_no: int = 0) -> asyncpg.Record:
        row = await self.pool.fetchrow(
            "SELECT * FROM lanes WHERE deal_id = $1 AND lane_no = $2", deal_id, lane_no
        )
        assert row is not None
        return row

    async def authorise(self, *order_ids: str) -> None:
        """Does to orders what a successful authorisation does."""
        await self.pool.execute(
            "UPDATE payment_operations SET state = 'succeeded', ended_at = app_now()"
            " WHERE order_id = ANY($1::text[]) AND kind = 'authorise'",
            list(order_ids),
        )
        await self.pool.execute(
            "UPDATE orders SET status = 'authorised' WHERE id = ANY($1::text[])", list(order_ids)
        )

    async def group_of(self, order_id: str) -> str:
        """The group an order is in."""
        group_id: str = (await self.order(order_id))["group_id"]
        return group_id

    async def end(self, status: str, *order_ids: str) -> None:
        """Does to orders what a declined payment, or one that never came, does."""
        if status == "declined":
            await self.pool.execute(
                "UPDATE payment_operations SET state = 'declined', ended_at = app_now()"
                " WHERE order_id = ANY($1::text[])",
                list(order_ids),
            )
        await self.pool.execute(
            "UPDATE orders SET status = $1 WHERE id = ANY($2::text[])", status, list(order_ids)
        )

    async def end_operations(self, kind: str) -> None:
        """Does what a gateway does that carries out every due capture or void."""
        await self.pool.execute(
            "UPDATE payment_operations SET state = 'succeeded', ended_at = app_now()"
            " WHERE kind = $1 AND ended_at IS NULL",
            kind,
        )
        if kind == "capture":
            await self.pool.execute(
                "UPDATE orders SET status = 'captured' WHERE status = 'authorised' AND id IN"
                " (SELECT order_id FROM payment_operations WHERE kind = 'capture')"
            )

    async def operations(self, kind: str) -> dict[str, int]:
        """Order id -> amount of the operations of a kind."""
        rows = await self.pool.fetch(
            "SELECT order_id, amount_minor FROM payment_operations WHERE kind = $1", kind
        )
        return {row["order_id"]: row["amount_minor"] for row in rows}

    async def change_deal(self, deal_id: str, *, status: str = "active", added_stock: int = 0) -> None:
        """Does what a merchant's change of a deal of one lane does."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE deals SET status = $2, stock_units = stock_units + $3 WHERE id = $1",
                deal_id,
                status,
                added_stock,
            )
            await connection.execute(
                "UPDATE lanes SET epoch = epoch + 1, stock_units = stock_units + $2 WHERE deal_id = $1",
                deal_id,
                added_stock,
            )

    async def bring_deadline(self, group_id: str, *, in_ms: int) -> None:
        """Lets a group run for this much longer, whatever it was promised."""
        await self.pool.execute(
            "UPDATE groups SET deadline = app_now() + $2 * interval '1 millisecond' WHERE id = $1",
            group_id,
            in_ms,
        )
        await self.pool.execute(
            "UPDATE group_progress SET check_at = app_now() WHERE group_id = $1", group_id
        )

    async def is_overdue(self, group_id: str) -> bool:
        overdue: bool = await self.pool.fetchval(
            "SELECT deadline <= app_now() FROM groups WHERE id = $1", group_id
        )
        return overdue

    async def pass_hold(self, *order_ids: str) -> None:
        """Ends the time of held orders, of all where none is named, whose payment was tried in vain."""
        held = [
            row["id"] for row in await self.orders(status="held") if row["id"] in order_ids or not order_ids
        ]
        await self.try_in_vain(*held)
        await self.pool.execute(
            "UPDATE orders SET hold_until = app_now() WHERE status = 'held' AND id = ANY($1::text[])", held
        )

    async def try_in_vain(self, *order_ids: str) -> None:
        """Does what an attempt long ago without an answer did; the next one is a while away."""
        await self.pool.execute(
            "UPDATE payment_operations SET state = 'unknown', attempts = greatest(attempts, 1),"
            " first_tried_at = app_now() - interval '1 day', due_at = app_now() + interval '10 minutes'"
            " WHERE kind = 'authorise' AND ended_at IS NULL AND order_id = ANY($1::text[])",
            list(order_ids),
        )

    async def pass_grace(self, group_id: str) -> None:
        """Ends the time that held members of a closing group have left, whose payment was tried in vain."""
        held = await self.orders(status="held", group_id=group_id)
        await self.try_in_vain(*(row["id"] for row in held))
        await self.pool.execute("UPDATE groups SET settle_by = app_now() WHERE id = $1", group_id)
        await self.pool.execute(
            "UPDATE group_progress SET check_at = app_now() WHERE group_id = $1", group_id
        )

    async def pass_deadline(self, group_id: str) -> None:
        """Moves a group's deadline into the past, as time would."""
        await self.pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day',"
            " deadline = app_now() - interval '1 second' WHERE id = $1",
            group_id,
        )
        await self.pool.execute(
            "UPDATE group_progress SET check_at = app_now() WHERE group_id = $1", group_id
        )

    async def pass_settling(self) -> None:
        """Makes every settling group due for a look, as a little time would."""
        await self.pool.execute(
            "UPDATE group_progress SET check_at = app_now() WHERE check_at IS NOT NULL AND group_id IN"
            " (SELECT id FROM groups WHERE status = 'settling')"
        )
