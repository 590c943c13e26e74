"""The statements of payment operations, each behind a typed function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pintuan.money.payments.decision import Claim, Decision, JudgedCard, LockedOrder
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from sql import Connection

QUERIES: Final = load_queries(__package__)
# For so long a card whose capture failed takes no seat in a group, unless another capture of it succeeds.
FAILED_CARD_MS: Final = 30 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claimed operation and the decision about it; `delay_ms` counts only when it is repeated."""

    claim: Claim
    decision: Decision
    delay_ms: int
    card: JudgedCard | None = None


async def claim_due(pool: asyncpg.Pool, *, count_max: int, lease_ms: int) -> list[Claim]:
    """Takes up to `count_max` operations that are due; nobody else gets them until the lease runs out."""
    rows = await pool.fetch(QUERIES["claim_due_operations"], count_max, lease_ms)
    return [Claim(**row) for row in rows]


async def count_open(pool: asyncpg.Pool, *, count_max: int) -> dict[tuple[str, str], int]:
    """Returns how many operations of each (kind, state) nobody is done with, escalated ones included."""
    rows = await pool.fetch(QUERIES["count_open_operations_by_state"], count_max)
    return {(row["kind"], row["state"]): row["count"] for row in rows}


async def lock_orders(connection: Connection, order_ids: Sequence[str]) -> dict[str, LockedOrder]:
    """Locks the orders until the transaction ends and returns them by id."""
    rows = await connection.fetch(QUERIES["lock_orders"], order_ids)
    return {row["id"]: LockedOrder(**row) for row in rows}


async def read_open(connection: Connection, claims: Sequence[Claim]) -> dict[tuple[str, str, int], bool]:
    """Returns the (order id, kind, number) of operations that have not ended; True for escalated ones."""
    rows = await connection.fetch(
        QUERIES["read_open_operations"],
        [claim.order_id for claim in claims],
        [claim.kind for claim in claims],
        [claim.operation_no for claim in claims],
    )
    return {(row["order_id"], row["kind"], row["operation_no"]): row["escalated"] for row in rows}


async def judge_cards(connection: Connection, cards: Mapping[str, str | None]) -> dict[str, JudgedCard]:
    """Judges the cards of locked orders, by order id and in their order; no card may be there twice.

    None is a card that the gateway did not tell. The number of a group's new cards is not looked at.
    """
    if not cards:
        return {}
    rows = await connection.fetch(QUERIES["judge_cards"], list(cards), list(cards.values()), FAILED_CARD_MS)
    judged = {
        row["order_id"]: JudgedCard(
            group_id=row["group_id"],
            digest=row["card_digest"],
            refusal=row["refusal"],
            new_cards_max=row["new_cards_max"],
        )
        for row in rows
    }
    return {order_id: judged[order_id] for order_id in cards}


async def count_new_cards(connection: Connection, group_ids: Sequence[str]) -> dict[str, int]:
    """Returns how many seats new cards have in each group; until the transaction ends nobody adds to them."""
    # Locked in one statement and counted in the next, which sees what whoever had the lock has added.
    await connection.execute(QUERIES["lock_new_cards"], group_ids)
    rows = await connection.fetch(QUERIES["count_new_cards"], group_ids)
    return {row["group_id"]: row["seats"] for row in rows}


async def note_captures(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Remembers the cards whose capture failed, and forgets those whose capture went well."""
    captures = [verdict for verdict in verdicts if verdict.claim.kind == "capture"]
    failed = [v.claim.order_id for v in captures if v.decision.order_becomes == "payment_failed"]
    if failed:
        await connection.execute(QUERIES["note_failed_cards"], failed)
    captured = [v.claim.order_id for v in captures if v.decision.order_becomes == "captured"]
    if captured:
        await connection.execute(QUERIES["forget_failed_cards"], captured)


async def move_orders(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Writes the orders' new statuses; the trigger on orders gives back what dead ones held."""
    refunds = [
        verdict
        for verdict in verdicts
        if verdict.decision.refunded_minor > 0 or verdict.decision.released_minor > 0
    ]
    if refunds:
        await connection.execute(
            QUERIES["move_refunded_orders"],
            [verdict.claim.order_id for verdict in refunds],
            [verdict.claim.operation_no for verdict in refunds],
            [verdict.decision.order_becomes for verdict in refunds],
            [verdict.decision.refunded_minor for verdict in refunds],
            [verdict.decision.released_minor for verdict in refunds],
        )
    moved = [
        verdict
        for verdict in verdicts
        if verdict.claim.kind != "refund" and verdict.decision.order_becomes is not None
    ]
    if moved:
        await connection.execute(
            QUERIES["move_orders"],
            [verdict.claim.order_id for verdict in moved],
            [verdict.decision.order_becomes for verdict in moved],
            [verdict.decision.final_unit_minor for verdict in moved],
            [None if verdict.card is None else verdict.card.digest for verdict in moved],
            [verdict.decision.decline_reason for verdict in moved],
            [verdict.card is not None and verdict.card.takes_new_seat for verdict in moved],
        )


async def end_operations(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Ends the operations that have a final outcome."""
    ended = [verdict for verdict in verdicts if verdict.decision.ends_as is not None]
    if ended:
        await connection.execute(
            QUERIES["end_operations"],
            [verdict.claim.order_id for verdict in ended],
            [verdict.claim.kind for verdict in ended],
            [verdict.claim.operation_no for verdict in ended],
            [verdict.decision.ends_as for verdict in ended],
            [verdict.decision.gateway_ref for verdict in ended],
            [verdict.decision.failure for verdict in ended],
            [verdict.decision.escalated for verdict in ended],
        )


async def postpone_operations(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Makes the operations without a final outcome due again."""
    again = [verdict for verdict in verdicts if verdict.decision.repeats_as is not None]
    if again:
        await connection.execute(
            QUERIES["postpone_operations"],
            [verdict.claim.order_id for verdict in again],
            [verdict.claim.kind for verdict in again],
            [verdict.claim.operation_no for verdict in again],
            [verdict.decision.repeats_as for verdict in again],
            [verdict.decision.failure for verdict in again],
            [verdict.delay_ms for verdict in again],
            [verdict.claim.attempts for verdict in again],
        )


async def add_operations(
    connection: Connection, verdicts: Sequence[Verdict], orders: dict[str, LockedOrder]
) -> None:
    """Adds the operations that follow, for all that was reserved, due now."""
    added = [verdict for verdict in verdicts if verdict.decision.adds is not None]
    if added:
        await connection.execute(
            QUERIES["add_operations"],
            [verdict.claim.order_id for verdict in added],
            [verdict.decision.adds for verdict in added],
            [orders[verdict.claim.order_id].authorised_minor for verdict in added],
            [verdict.claim.currency for verdict in added],
        )
