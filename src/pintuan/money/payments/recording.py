"""Writes down what became of gateway calls: one transaction for all that finished together.

Locks come in the order all of the product keeps: first orders, then the right to seat new cards in groups.
The rows that the trigger on orders touches follow (group progress, buyers, lanes), and payment operations
come last.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from groups.setbacks import STORE_AWAY, Setbacks
from pintuan.money.payments import store
from pintuan.money.payments.decision import Claim, JudgedCard, Result, decide, limit_new_cards
from pintuan.money.payments.gateway import Declined, Succeeded, idempotency_key_of
from pintuan.money.payments.metrics import PAYMENT_ESCALATIONS, PAYMENT_OPERATIONS
from pintuan.money.payments.store import Verdict
from pintuan.people.activity.changes import made
from pintuan.people.activity.log import note
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from pintuan.money.payments.decision import LockedOrder
    from sql import Connection

FIRST_RETRY_MS: Final = 300
RETRY_MS_MAX: Final = 20_000
CARD_CONSTRAINT: Final = "order_card_once"

# To record a batch one by one would take as many times the while that is too long already.
_STORE_SLOW: Final = (TimeoutError, asyncpg.QueryCanceledError)

# The states of an order that end its seat: its place in Redis is given back, or only its memory is dropped.
_SEAT_ENDS: Final = frozenset({"declined", "captured", "payment_failed"})

_logger = structlog.get_logger("pintuan.money.payments")


@dataclass(frozen=True, slots=True)
class Finished:
    """A claimed operation and how its call ended, or an operator's word about it."""

    claim: Claim
    result: Result
    by_operator: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """The changes of a transaction: operations, orders that moved and their groups, seats that ended,
    retries.
    """

    operations: int = 0
    orders_moved: int = 0
    seats_ended: int = 0
    groups: frozenset[str] = frozenset()
    retry_delays_ms: tuple[int, ...] = ()

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            self.operations + other.operations,
            self.orders_moved + other.orders_moved,
            self.seats_ended + other.seats_ended,
            self.groups | other.groups,
            self.retry_delays_ms + other.retry_delays_ms,
        )


OnRecorded = Callable[[Recorded], None]


async def record(pool: asyncpg.Pool, finished: Sequence[Finished]) -> Recorded:
    """Records the results, all together, or one by one when Postgres refuses one of them.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: nothing is known to be recorded. The leases
            run out, and the same keys give the same results again.
    """
    recorded = Recorded()
    for batch in _apart(finished):
        recorded += await _record_batch(pool, batch)
    return recorded


def retry_delay_ms(attempts: int) -> int:
    """Returns the pause after that many attempts: doubled each time up to a limit, and jittered by half."""
    longest_ms = min(FIRST_RETRY_MS << min(attempts - 1, RETRY_MS_MAX.bit_length()), RETRY_MS_MAX)
    return random.randint(longest_ms // 2, longest_ms)  # noqa: S311 - jitter only, nobody gains by guessing it.


def _apart(finished: Sequence[Finished]) -> list[list[Finished]]:
    """Splits the results so that no batch has an order, card or buyer twice: one decides about the next."""
    batches: list[list[Finished]] = []
    earlier: Counter[str] = Counter()
    for one in finished:
        names = [f"order {one.claim.order_id}"]
        if (card := _card_of(one)) is not None:
            names.append(f"card {card}")
        if _is_authorised(one):
            names.append(f"buyer {one.claim.buyer_id}")
        place = max(earlier[name] for name in names)
        if place == len(batches):
            batches.append([])
        batches[place].append(one)
        for name in names:
            earlier[name] = place + 1
    return batches


def _card_of(one: Finished) -> str | None:
    """Returns the card that an authorisation was found to be paid with."""
    return one.result.card if _is_authorised(one) and isinstance(one.result, Succeeded) else None


def _is_authorised(one: Finished) -> bool:
    return one.claim.kind == "authorise" and isinstance(one.result, Succeeded)


async def _record_batch(pool: asyncpg.Pool, batch: Sequence[Finished]) -> Recorded:
    try:
        verdicts, orders = await retry_serialization(lambda: _write_anew(pool, batch))
    except (*STORE_AWAY, *_STORE_SLOW):
        raise
    except Exception as error:  # noqa: BLE001 - whatever one row of a batch raises, the others are recorded.
        if len(batch) == 1:
            # Its lease runs out and it comes again, ever less often; only this one waits.
            claim = batch[0].claim
            await Setbacks(pool, "payments").note({claim.name: error})
            PAYMENT_OPERATIONS.labels(claim.kind, "unrecorded").inc()
            return Recorded()
    else:
        return _account(verdicts, orders)
    recorded = Recorded()
    for one in batch:
        recorded += await _record_batch(pool, [one])
    return recorded


async def _write_anew(
    pool: asyncpg.Pool, batch: Sequence[Finished]
) -> tuple[list[Verdict], dict[str, LockedOrder]]:
    """Writes a batch; once more where a card took its seat in another process at the same moment."""
    try:
        return await _write(pool, batch)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != CARD_CONSTRAINT:
            raise
    return await _write(pool, batch)


async def _write(
    pool: asyncpg.Pool, batch: Sequence[Finished]
) -> tuple[list[Verdict], dict[str, LockedOrder]]:
    async with pool.acquire() as connection, connection.transaction():
        orders = await store.lock_orders(connection, [one.claim.order_id for one in batch])
        still_open = await store.read_open(connection, [one.claim for one in batch])
        news = [one for one in batch if _is_news(one, still_open)]
        cards = {
            one.claim.order_id: _card_of(one)
            for one in news
            if _is_authorised(one) and orders[one.claim.order_id].status == "held"
        }
        judged = await _judge(connection, cards)
        verdicts = [_verdict(one, orders[one.claim.order_id], judged.get(one.claim.order_id)) for one in news]
        await store.move_orders(connection, verdicts)
        await store.note_captures(connection, verdicts)
        await store.end_operations(connection, verdicts)
        await store.postpone_operations(connection, verdicts)
        await store.add_operations(connection, verdicts, orders)
        for one in batch:
            if one.by_operator and verdicts:
                await _note(connection, one)
    return verdicts, orders


async def _judge(connection: Connection, cards: Mapping[str, str | None]) -> dict[str, JudgedCard]:
    """Judges cards by order id; only where a deal limits new ones is anything locked for it, and counted."""
    judged = await store.judge_cards(connection, cards)
    limited = {card.group_id for card in judged.values() if card.takes_new_seat and card.group_id is not None}
    if not limited:
        return judged
    return limit_new_cards(judged, await store.count_new_cards(connection, list(limited)))


async def _note(connection: Connection, one: Finished) -> None:
    """Tells the log an operator's word about an operation, together with its consequences."""
    claim = one.claim
    name = idempotency_key_of(claim.order_id, claim.kind, claim.operation_no)
    result = "succeeded" if isinstance(one.result, Succeeded) else "declined"
    await note(connection, None, [claim.order_id], made(operation=name, result=result))


def _is_news(one: Finished, still_open: Mapping[tuple[str, str, int], bool]) -> bool:
    """Says whether the result has news; of an escalated operation only an answer has, however late."""
    name = (one.claim.order_id, one.claim.kind, one.claim.operation_no)
    return name in still_open and (not still_open[name] or isinstance(one.result, Succeeded | Declined))


def _verdict(one: Finished, order: LockedOrder, card: JudgedCard | None) -> Verdict:
    refusal = None if card is None or one.claim.kind != "authorise" else card.refusal
    decision = decide(one.claim, order, one.result, card_refusal=refusal)
    if one.by_operator:
        # The operator who says so has looked at it already.
        decision = replace(decision, escalated=False)
    return Verdict(one.claim, decision, retry_delay_ms(one.claim.attempts), card)


def _account(verdicts: Sequence[Verdict], orders: Mapping[str, LockedOrder]) -> Recorded:
    """Counts the committed changes, and tells an operator of operations that will not be tried again."""
    for verdict in verdicts:
        claim, decision = verdict.claim, verdict.decision
        PAYMENT_OPERATIONS.labels(claim.kind, decision.ends_as or decision.repeats_as).inc()
        if decision.escalated:
            PAYMENT_ESCALATIONS.labels(claim.kind).inc()
            _logger.error(
                "payment escalated",
                order_id=claim.order_id,
                kind=claim.kind,
                ended_as=decision.ends_as,
                attempts=claim.attempts,
                reason=decision.failure,
            )
    moved = [verdict for verdict in verdicts if verdict.decision.order_becomes]
    groups = {orders[verdict.claim.order_id].group_id for verdict in moved}
    return Recorded(
        operations=len(verdicts),
        orders_moved=len(moved),
        seats_ended=sum(verdict.decision.order_becomes in _SEAT_ENDS for verdict in moved),
        groups=frozenset(group_id for group_id in groups if group_id is not None),
        retry_delays_ms=tuple(verdict.delay_ms for verdict in verdicts if verdict.decision.repeats_as),
    )
