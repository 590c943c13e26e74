"""A person's ways with operations of unknown outcome: see them, repeat them, tell the outcome.

A name is the key the gateway knows: `ORDER:authorise`, `ORDER:capture`, `ORDER:void`, `ORDER:refund:NUMBER`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

import msgspec

from pintuan.money.payments.decision import Claim
from pintuan.money.payments.gateway import OperationKind, idempotency_key_of
from pintuan.money.payments.operations import ATTEMPTS_MAX, LEASE_MS
from pintuan.money.payments.recording import Finished, record
from pintuan.people.activity.changes import made
from pintuan.people.activity.log import note
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.money.payments.gateway import Answer

QUERIES: Final = load_queries(__package__)
_NAME: Final = re.compile(
    r"(?P<order>[^:\s]+):(?:(?P<kind>authorise|capture|void)|refund:(?P<number>[1-9]\d{0,5}))"
)


class OperationName(msgspec.Struct, frozen=True):
    """Which operation of which order; only refunds have a number other than 0."""

    order_id: str
    kind: OperationKind
    operation_no: int = 0

    def __str__(self) -> str:
        return idempotency_key_of(self.order_id, self.kind, self.operation_no)

    @classmethod
    def parse(cls, text: str) -> OperationName:
        """Reads a name; raises ValueError with the forms there are."""
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(
                "an operation is ORDER:KIND with KIND one of authorise, capture, void, or ORDER:refund:NUMBER"
            )
        if match["number"] is not None:
            return cls(match["order"], "refund", int(match["number"]))
        return cls(match["order"], cast("OperationKind", match["kind"]))


class Escalated(msgspec.Struct, frozen=True):
    """An operation that waits for a person, and the order it belongs to."""

    name: OperationName
    state: str
    amount_minor: int
    currency: str
    attempts: int
    failure: str | None
    escalated_at: datetime
    order_status: str


async def list_escalated(pool: asyncpg.Pool, *, count_max: int) -> list[Escalated]:
    """Returns up to `count_max` operations that wait for a person, the longest first."""
    rows = await pool.fetch(QUERIES["list_escalated"], count_max)
    return [
        Escalated(
            name=OperationName(row["order_id"], row["kind"], row["operation_no"]),
            state=row["state"],
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            attempts=row["attempts"],
            failure=row["failure"],
            escalated_at=row["escalated_at"],
            order_status=row["order_status"],
        )
        for row in rows
    ]


async def look_again(pool: asyncpg.Pool, name: OperationName) -> bool:
    """Makes an operation due now that is escalated or waits for its next attempt; False where none does.

    An escalated operation is looked up at the gateway first, and tried once more under its old key.
    """
    async with pool.acquire() as connection, connection.transaction():
        status: str = await connection.execute(
            QUERIES["look_again"], name.order_id, name.kind, name.operation_no, ATTEMPTS_MAX
        )
        if status == "UPDATE 0":
            return False
        await note(connection, None, [name.order_id], made(operation=str(name)))
        return True


async def settle_escalated(pool: asyncpg.Pool, name: OperationName, answer: Answer) -> bool:
    """Records what the bank said of an escalated operation, as if the gateway had; False where none is.

    Also False when the database refuses a consequence, such as a void beside a capture that succeeded; the
    operation is then due again.
    """
    row = await pool.fetchrow(
        QUERIES["take_escalated"], name.order_id, name.kind, name.operation_no, LEASE_MS
    )
    if row is None:
        return False
    recorded = await record(pool, [Finished(Claim(**row), answer, by_operator=True)])
    return recorded.operations == 1
