"""Events in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from groups.setbacks import Broom
from pintuan.money.payments.operations import ATTEMPTS_MAX
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.money.gateway_events.schemas import GatewayEvent
    from sql import Connection


# (kind, number) → state of everything we asked the gateway about one order.
Operations: TypeAlias = dict[tuple[str, int], str]

QUERIES: Final = load_queries(__package__)


async def find_order(connection: Connection, event: GatewayEvent) -> str | None:
    """Returns the order the event is about; None when it is none of ours."""
    order_id: str | None = await connection.fetchval(
        QUERIES["find_order_of_event"], event.reference, event.payment_ref
    )
    return order_id


async def read_operations(connection: Connection, order_id: str) -> Operations:
    """Returns what we asked of the gateway for an order."""
    rows = await connection.fetch(QUERIES["read_operation_states"], order_id)
    return {(row["kind"], row["operation_no"]): row["state"] for row in rows}


async def insert_event(
    connection: Connection, gateway: str, event: GatewayEvent, *, order_id: str | None, surprise: str | None
) -> bool:
    """Keeps the event; returns False when it was kept before."""
    fresh: bool | None = await connection.fetchval(
        QUERIES["record_gateway_event"],
        gateway,
        event.id,
        event.kind,
        order_id,
        event.payment_ref,
        surprise,
    )
    return fresh is not None


async def make_due(connection: Connection, order_id: str) -> None:
    """Makes the open and the escalated operations of an order due now."""
    await connection.execute(QUERIES["make_operations_due"], order_id, ATTEMPTS_MAX)


async def purge(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> int:
    """Forgets old events that surprised nobody; returns how many."""
    broom = Broom(
        pool,
        "gateway events",
        due=QUERIES["gateway_events_to_purge"],
        drop=QUERIES["purge_gateway_events"],
        arguments=[age_ms],
    )
    return await broom.sweep(limit)
