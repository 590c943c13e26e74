"""A pretended bank with books of its own, in the Postgres schema `sandbox_gateway`.

Every process that opens it sees the same books. The behaviour of a payment method is in `methods`. An
answer that a method "loses" is lost once: the call that wrote the books raises GatewayTimeout, and its
repetition is answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import asyncpg

from pintuan.money.payments.gateway import (
    Answer,
    AuthoriseCall,
    CaptureCall,
    Declined,
    GatewayError,
    GatewayTimeout,
    GatewayUnavailable,
    KeyMisused,
    Payment,
    RefundCall,
    Succeeded,
    VoidCall,
)
from pintuan.money.payments.sandbox.batches import Batches, Entry
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES, behaviour_of, card_of
from sql import load_queries
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pintuan.money.payments.gateway import OperationKind

QUERIES: Final = load_queries(__package__)

_Movement: TypeAlias = CaptureCall | VoidCall | RefundCall
_C = TypeVar("_C", bound=AuthoriseCall | _Movement)

_SUCCEEDED: Final = "succeeded"
_UNREACHABLE: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class SandboxGateway:
    """Implements `Gateway` over the sandbox's books; `pause` is how slow methods wait, in seconds."""

    def __init__(
        self, pool: asyncpg.Pool, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._pool = pool
        self._pause = pause
        self._authorisations: Batches[AuthoriseCall] = Batches(self._book_authorisations)
        self._movements: Batches[_Movement] = Batches(self._book_movements)

    @property
    def authorisation_lifetime_ms(self) -> int:
        """Seven days. The sandbox tells it and does not enforce it."""
        return SANDBOX_RULES.authorisation_lifetime_ms

    async def authorise(self, call: AuthoriseCall) -> Answer:
        """Reserves money as the payment method says; `pm_slow` does so after two seconds."""
        delay_s = behaviour_of(call.payment_method).authorise_delay_s
        if delay_s:
            await self._pause(delay_s)
        return await self._authorisations.submit(call)

    async def capture(self, call: CaptureCall) -> Answer:
        """Takes at most what was authorised; refused once the payment was captured, voided or declined."""
        return await self._movements.submit(call)

    async def void(self, call: VoidCall) -> Answer:
        """Lets go of an authorisation; refused once it was captured."""
        return await self._movements.submit(call)

    async def refund(self, call: RefundCall) -> Answer:
        """Gives back at most what was captured and not given back before."""
        return await self._movements.submit(call)

    async def look_up(self, reference: str) -> Payment | None:
        """Reads the books."""
        try:
            row = await self._pool.fetchrow(QUERIES["look_up"], reference)
        except _UNREACHABLE as error:
            raise GatewayUnavailable(f"the sandbox's books cannot be read: {error}") from error
        if row is None:
            return None
        return Payment(
            status=row["status"],
            gateway_ref=_gateway_ref(reference),
            authorised_minor=row["amount_minor"],
            captured_minor=row["captured_minor"],
            currency=row["currency"],
            refunds=frozenset(row["refunds"]),
            card=row["card"],
        )

    async def _book_authorisations(self, calls: Sequence[AuthoriseCall]) -> list[Entry]:
        return await self._book_one_by_one_if_refused(calls, self._write_authorisations)

    async def _book_movements(self, calls: Sequence[_Movement]) -> list[Entry]:
        return await self._book_one_by_one_if_refused(calls, self._write_movements)

    async def _book_one_by_one_if_refused(
        self,
        calls: Sequence[_C],
        write: Callable[[asyncpg.pool.PoolConnectionProxy, Sequence[_C]], Awaitable[list[Entry]]],
    ) -> list[Entry]:
        """A call that the books' constraints refuse must not take the rest of its batch down with it."""
        try:
            return await self._in_transaction(lambda connection: write(connection, calls))
        except GatewayError as error:
            return [error] * len(calls)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            if len(calls) == 1:
                return [KeyMisused(calls[0].idempotency_key)]
        entries: list[Entry] = []
        for call in calls:
            entries += await self._book_one_by_one_if_refused([call], write)
        return entries

    async def _in_transaction(
        self, write: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[list[Entry]]]
    ) -> list[Entry]:
        async def attempt() -> list[Entry]:
            async with self._pool.acquire() as connection, connection.transaction():
                return await write(connection)

        try:
            return await retry_serialization(attempt)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            raise
        except _UNREACHABLE as error:
            # The commit may have been lost on its way to us or on its way to Postgres.
            raise GatewayTimeout(f"the sandbox's books did not answer: {error}") from error

    async def _write_authorisations(
        self, connection: asyncpg.pool.PoolConnectionProxy, calls: Sequence[AuthoriseCall]
    ) -> list[Entry]:
        rows = await connection.fetch(
            QUERIES["book_authorisations"],
            [call.idempotency_key for call in calls],
            [call.reference for call in calls],
            [call.payment_method for call in calls],
            [card_of(call.payment_method, call.buyer_id) for call in calls],
            [call.amount_minor for call in calls],
            [call.currency for call in calls],
            [behaviour_of(call.payment_method).authorise_refusal for call in calls],
        )
        fresh = {row["idempotency_key"] for row in rows}
        repeated = await self._read_calls(connection, [c for c in calls if c.idempotency_key not in fresh])
        entries: list[Entry] = []
        for call in calls:
            behaviour = behaviour_of(call.payment_method)
            known = repeated.get(call.idempotency_key)
            if known is not None:
                same = (known["payment_method"], known["currency"]) == (call.payment_method, call.currency)
                entries.append(_replay(call, "authorise", call.amount_minor, known, same_payment=same))
            else:
                outcome = behaviour.authorise_refusal or _SUCCEEDED
                entries.append(_first_answer(call, "authorise", call.payment_method, outcome))
        return entries

    async def _write_movements(
        self, connection: asyncpg.pool.PoolConnectionProxy, calls: Sequence[_Movement]
    ) -> list[Entry]:
        # The lock comes first and the recorded calls are read in the next statement: its earlier holder may
        # have recorded the very same key.
        locked = await connection.fetch(QUERIES["lock_authorisations"], [call.reference for call in calls])
        authorisations = {row["reference"]: row for row in locked}
        repeated = await self._read_calls(connection, calls)
        entries: list[Entry] = []
        decided: list[tuple[_Movement, str, str | None]] = []
        for call in calls:
            known = repeated.get(call.idempotency_key)
            if known is not None:
                entries.append(_replay(call, _kind_of(call), _amount_of(call), known, same_payment=True))
                continue
            row = authorisations.get(call.reference)
            outcome, becomes = _decide(call, row)
            decided.append((call, outcome, becomes))
            method = "" if row is None else row["payment_method"]
            entries.append(_first_answer(call, _kind_of(call), method, outcome))
        if decided:
            await connection.execute(
                QUERIES["book_movements"],
                [call.idempotency_key for call, _, _ in decided],
                [_kind_of(call) for call, _, _ in decided],
                [call.reference for call, _, _ in decided],
                [_amount_of(call) for call, _, _ in decided],
                [outcome for _, outcome, _ in decided],
                [becomes for _, _, becomes in decided],
            )
        return entries

    async def _read_calls(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        calls: Sequence[AuthoriseCall | _Movement],
    ) -> dict[str, asyncpg.Record]:
        if not calls:
            return {}
        rows = await connection.fetch(QUERIES["read_calls"], [call.idempotency_key for call in calls])
        return {row["idempotency_key"]: row for row in rows}


def _gateway_ref(reference: str) -> str:
    return f"sandbox:{reference}"


def _kind_of(call: _Movement) -> OperationKind:
    match call:
        case CaptureCall():
            return "capture"
        case VoidCall():
            return "void"
        case RefundCall():
            return "refund"


def _amount_of(call: _Movement) -> int | None:
    return None if isinstance(call, VoidCall) else call.amount_minor


def _decide(call: _Movement, row: asyncpg.Record | None) -> tuple[str, str | None]:
    """Returns the outcome and the new state of the authorisation; None leaves it as it is."""
    if row is None:
        return "no such authorisation", None
    if isinstance(call, RefundCall):
        return _decide_refund(call, row)
    if row["status"] != "authorised":
        return f"the payment is already {row['status']}", None
    if isinstance(call, VoidCall):
        return _SUCCEEDED, "voided"
    if call.amount_minor > row["amount_minor"]:
        return "more than was authorised", None
    refusal = behaviour_of(row["payment_method"]).capture_refusal
    return (_SUCCEEDED, "captured") if refusal is None else (refusal, None)


def _decide_refund(call: RefundCall, row: asyncpg.Record) -> tuple[str, str | None]:
    if row["status"] != "captured":
        return f"the payment is {row['status']}", None
    if row["refunded_minor"] + call.amount_minor > row["captured_minor"]:
        return "more than was captured", None
    refusal = behaviour_of(row["payment_method"]).refund_refusal
    return (_SUCCEEDED, "captured") if refusal is None else (refusal, None)


def _answer(call: AuthoriseCall | _Movement, outcome: str) -> Answer:
    if outcome != _SUCCEEDED:
        return Declined(outcome)
    card = card_of(call.payment_method, call.buyer_id) if isinstance(call, AuthoriseCall) else None
    return Succeeded(_gateway_ref(call.reference), card)


def _first_answer(
    call: AuthoriseCall | _Movement, kind: OperationKind, payment_method: str, outcome: str
) -> Entry:
    if behaviour_of(payment_method).loses_first_answer_of == kind:
        return GatewayTimeout("the answer was lost")
    return _answer(call, outcome)


def _replay(
    call: AuthoriseCall | _Movement,
    kind: OperationKind,
    amount_minor: int | None,
    known: asyncpg.Record,
    *,
    same_payment: bool,
) -> Entry:
    asked = (known["kind"], known["reference"], known["amount_minor"])
    if not same_payment or asked != (kind, call.reference, amount_minor):
        return KeyMisused(call.idempotency_key)
    return _answer(call, known["outcome"])
