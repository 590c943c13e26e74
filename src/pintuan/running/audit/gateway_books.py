"""Holds our newest payments against the books of the gateway in use, by asking about each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.money.payments.gateway import CALL_DEADLINE_S, GatewayTimeout, idempotency_key_of
from pintuan.running.audit.service import Check
from pintuan.running.audit.store import OFFENDERS_MAX, Offender
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.money.payments.gateway import Gateway, Payment

AUDIT: Final = load_queries(__package__)

GATEWAY_CHECK: Final = "gateway_books_agree"
PAYMENTS_MAX: Final = 10_000
# Far below a gateway's limit in a second, since the marketplace goes on beside the audit.
LOOK_UPS_AT_ONCE: Final = 8


class _AtRest(msgspec.Struct, frozen=True):
    """Our operations' account of a payment that nothing is under way for."""

    order_id: str
    authorised_minor: int
    currency: str
    status: str
    captured_minor: int
    refund_numbers: list[int]


async def check_gateway_books(
    pool: asyncpg.Pool, gateway: Gateway, *, sandbox: bool, count_max: int
) -> Check:
    """Looks up the `count_max` payments authorised last and names those whose books differ.

    A payment that moves meanwhile is looked at again. Raises GatewayError when the gateway does not answer.
    """
    turns = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def differs(ours: _AtRest) -> Offender | None:
        async with turns:
            if await _difference(gateway, ours) is None:
                return None
            again = await _read(pool, sandbox=sandbox, count_max=1, order_id=ours.order_id)
            difference = await _difference(gateway, again[0]) if again else None
            return None if difference is None else Offender(ours.order_id, difference)

    payments = await _read(pool, sandbox=sandbox, count_max=min(count_max, PAYMENTS_MAX))
    try:
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(differs(ours)) for ours in payments]
    except ExceptionGroup as errors:
        # The first says why; the rest failed of the same, or were called off.
        raise errors.exceptions[0] from errors
    found = [offender for look in looks if (offender := look.result()) is not None]
    about = f"7: the gateway's books agree on the {len(payments)} payments authorised last"
    return Check(GATEWAY_CHECK, about, found[:OFFENDERS_MAX])


async def _read(
    pool: asyncpg.Pool, *, sandbox: bool, count_max: int, order_id: str | None = None
) -> list[_AtRest]:
    rows = await pool.fetch(AUDIT["payments_at_rest"], count_max, sandbox, order_id)
    return [_AtRest(**row) for row in rows]


async def _difference(gateway: Gateway, ours: _AtRest) -> str | None:
    try:
        async with asyncio.timeout(CALL_DEADLINE_S):
            theirs = await gateway.look_up(ours.order_id)
    except TimeoutError as error:
        raise GatewayTimeout(f"no answer within {CALL_DEADLINE_S} s") from error
    if theirs is None:
        return "ours is authorised, theirs is not there"
    told, known = _told_by_us(ours), _told_by_them(theirs)
    return None if told == known else f"ours: {told}, theirs: {known}"


def _told_by_us(ours: _AtRest) -> str:
    refunds = {idempotency_key_of(ours.order_id, "refund", number) for number in ours.refund_numbers}
    return _told(ours.status, ours.authorised_minor, ours.captured_minor, ours.currency, refunds)


def _told_by_them(theirs: Payment) -> str:
    return _told(
        theirs.status, theirs.authorised_minor, theirs.captured_minor, theirs.currency, theirs.refunds
    )


def _told(
    status: str, authorised_minor: int, captured_minor: int, currency: str, refunds: set[str] | frozenset[str]
) -> str:
    amounts = f"{status}, {captured_minor} of {authorised_minor} {currency}"
    return f"{amounts}, refunds {', '.join(sorted(refunds))}" if refunds else amounts
