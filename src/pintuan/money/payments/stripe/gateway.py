"""Stripe as a payment gateway: one PaymentIntent an order, confirmed at once and captured by hand.

An order's PaymentIntent is found by the id from the answer to its authorisation, or from an event. Without
either only Stripe's search by our reference helps, which lags behind by up to an hour
(docs/decisions/0016-stripe.md). Cards that ask for the buyer's confirmation are declined: nobody waits at a
browser when a worker authorises.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import asyncpg
import stripe
import structlog

from pintuan.money.payments.gateway import (
    CALL_DEADLINE_S,
    Answer,
    AuthoriseCall,
    CaptureCall,
    Declined,
    GatewayError,
    GatewayTimeout,
    GatewayUnavailable,
    Payment,
    PaymentMissing,
    PaymentStatus,
    RefundCall,
    Succeeded,
    VoidCall,
)
from pintuan.money.payments.stripe.errors import KeySpent, refusal_of
from pintuan.money.payments.stripe.rules import (
    ORDER_FIELD,
    REFUND_FIELD,
    STRIPE_RULES,
    UnsupportedAmount,
    from_stripe_amount,
    to_stripe_amount,
)
from pintuan.money.payments.stripe.transport import StripeTransport
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

QUERIES: Final = load_queries(__package__)

API_VERSION: Final = "2026-10-28.endive"
"""Pinned, so that no upgrade of account or library changes an answer; docs.stripe.com/api/versioning."""
REFUNDS_PER_PAGE: Final = 100
# An order has at most a hundred refunds of ours; the rest is what a dashboard added.
REFUND_PAGES_MAX: Final = 3
# There is one, unless somebody used our metadata elsewhere.
PAYMENTS_PER_ORDER_MAX: Final = 10

_STATUSES: Final[dict[str, PaymentStatus]] = {
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "voided",
    "requires_payment_method": "declined",
    "requires_confirmation": "declined",
    "requires_action": "declined",
}
# Of several payments of an order, the one that holds or took money is the order's.
_HELD_FIRST: Final = ("succeeded", "requires_capture", "processing", "canceled")
_REFUND_TOOK_PLACE: Final = frozenset({"succeeded", "pending"})
_REFUND_FAILED: Final = frozenset({"failed", "canceled"})
_INTENT_PREFIX: Final = "pi_"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNREACHABLE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_CardDetails: TypeAlias = stripe.Charge.PaymentMethodDetails.Card
_T = TypeVar("_T")
_logger = structlog.get_logger("pintuan.money.payments")


_Call: TypeAlias = AuthoriseCall | CaptureCall | VoidCall | RefundCall


@dataclass(frozen=True, slots=True)
class _Intent:
    """The PaymentIntent of an order; the currency is upper case, as ISO 4217 writes it."""

    id: str
    currency: str


@asynccontextmanager
async def open_stripe(
    pool: asyncpg.Pool, *, secret_key: str, api_base: str | None = None
) -> AsyncIterator[StripeGateway]:
    """Opens a gateway for the life of the block; `api_base` replaces Stripe's address for tests."""
    stripe.enable_telemetry = False
    # It reports every request, and in detail everything sent.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    transport = StripeTransport()
    client = stripe.StripeClient(
        secret_key,
        stripe_version=API_VERSION,
        max_network_retries=0,
        http_client=transport,
        base_addresses={} if api_base is None else {"api": api_base},
    )
    try:
        yield StripeGateway(client, pool)
    finally:
        await transport.close_async()


class StripeGateway:
    """Implements `Gateway` over Stripe's API; `pool` knows the PaymentIntents of our orders."""

    def __init__(self, client: stripe.StripeClient, pool: asyncpg.Pool) -> None:
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._pool = pool

    @property
    def authorisation_lifetime_ms(self) -> int:
        """Seven days, Stripe's window for cards presented online."""
        return STRIPE_RULES.authorisation_lifetime_ms

    async def authorise(self, call: AuthoriseCall) -> Answer:
        """Creates and confirms a PaymentIntent that is captured later."""
        return await self._settled(call, self._authorise(call))

    async def capture(self, call: CaptureCall) -> Answer:
        """Takes at most what was authorised; Stripe lets go of the rest."""
        return await self._settled(call, self._capture(call))

    async def void(self, call: VoidCall) -> Answer:
        """Cancels the PaymentIntent; refused once it was captured."""
        return await self._settled(call, self._void(call))

    async def refund(self, call: RefundCall) -> Answer:
        """Gives back at most what was captured. A refund that is on its way to the bank counts as done."""
        return await self._settled(call, self._refund(call))

    async def look_up(self, reference: str) -> Payment | None:
        """Reads Stripe's books; a payment that neither an answer nor an event told of may be found late."""
        known = await self._known(reference)
        if known is None:
            found = await self._search(reference)
            if found is None:
                return None
            return _payment_of(found, await self._refunds_of(found.id, reference))
        # Side by side: who looks up waits no longer than for one request.
        intent, refunds = await asyncio.gather(
            _read(self._intents.retrieve_async(known.id, {"expand": ["latest_charge"]}), reference),
            self._refunds_of(known.id, reference),
        )
        return _payment_of(intent, refunds)

    async def _settled(self, call: _Call, asked: Awaitable[Answer]) -> Answer:
        """Awaits the answer, or reads it in the books where Stripe will only ever repeat a fault."""
        try:
            return await asked
        except KeySpent:
            payment = await self.look_up(call.reference)
            answer = None if payment is None else _answer_in_books(call, payment)
            if answer is None:
                raise
            return answer

    async def _authorise(self, call: AuthoriseCall) -> Answer:
        try:
            amount = to_stripe_amount(call.amount_minor, call.currency)
        except UnsupportedAmount as error:
            return Declined(str(error))
        sent = self._intents.create_async(
            {
                "amount": amount,
                "currency": call.currency.lower(),
                "payment_method": call.payment_method,
                # Cards alone: they need no redirect, and the rules about holds are theirs.
                "allowed_payment_method_types": ["card"],
                "capture_method": "manual",
                "confirm": True,
                "metadata": {ORDER_FIELD: call.reference},
                "expand": ["latest_charge"],
            },
            {"idempotency_key": call.idempotency_key},
        )
        answer = await _answered(sent, call)
        if isinstance(answer, stripe.PaymentIntent):
            if answer.status == "requires_action":
                # It holds no money, and nobody is given what would let it go on.
                return Declined("authentication_required: the card asks for the buyer's confirmation")
            _check_lifetime(answer, call.reference)
        return _expect(answer, "requires_capture")

    async def _capture(self, call: CaptureCall) -> Answer:
        intent = await self._intent_of(call.reference)
        try:
            amount = to_stripe_amount(call.amount_minor, intent.currency)
        except UnsupportedAmount as error:
            return Declined(str(error))
        sent = self._intents.capture_async(
            intent.id, {"amount_to_capture": amount}, {"idempotency_key": call.idempotency_key}
        )
        return _expect(await _answered(sent, call), "succeeded")

    async def _void(self, call: VoidCall) -> Answer:
        intent = await self._intent_of(call.reference)
        sent = self._intents.cancel_async(intent.id, {}, {"idempotency_key": call.idempotency_key})
        return _expect(await _answered(sent, call), "canceled")

    async def _refund(self, call: RefundCall) -> Answer:
        intent = await self._intent_of(call.reference)
        try:
            amount = to_stripe_amount(call.amount_minor, intent.currency)
        except UnsupportedAmount as error:
            return Declined(str(error))
        sent = self._refunds.create_async(
            {
                "payment_intent": intent.id,
                "amount": amount,
                "metadata": {ORDER_FIELD: call.reference, REFUND_FIELD: call.refund_reference},
            },
            {"idempotency_key": call.idempotency_key},
        )
        answer = await _answered(sent, call)
        if isinstance(answer, Declined):
            return answer
        if answer.status in _REFUND_TOOK_PLACE:
            return Succeeded(answer.id)
        if answer.status in _REFUND_FAILED:
            return Declined(f"the refund {answer.status}: {answer.failure_reason or 'no reason given'}")
        raise GatewayTimeout(f"the refund is {answer.status}")

    async def _intent_of(self, reference: str) -> _Intent:
        known = await self._known(reference)
        if known is not None:
            return known
        found = await self._search(reference)
        if found is None:
            # It may have been made a moment ago: no reason to refuse for good.
            raise PaymentMissing(reference)
        return _Intent(found.id, found.currency.upper())

    async def _known(self, reference: str) -> _Intent | None:
        try:
            row = await self._pool.fetchrow(QUERIES["find_gateway_payment"], reference)
        except _UNREACHABLE as error:
            raise GatewayUnavailable(f"our own books cannot be read: {error}") from error
        if row is None or row["payment_ref"] is None:
            return None
        if not row["payment_ref"].startswith(_INTENT_PREFIX):
            # Another gateway was set when it was authorised.
            raise PaymentMissing(reference)
        return _Intent(row["payment_ref"], row["currency"])

    async def _search(self, reference: str) -> stripe.PaymentIntent | None:
        if not _REFERENCE.fullmatch(reference):
            raise ValueError(f"{reference!r} cannot stand in a query")
        page = await _read(
            self._intents.search_async(
                {
                    "query": f"metadata['{ORDER_FIELD}']:'{reference}'",
                    "limit": PAYMENTS_PER_ORDER_MAX,
                    "expand": ["data.latest_charge"],
                }
            ),
            reference,
        )
        found = sorted(page.data, key=_rank)
        if sum(intent.status in _HELD_FIRST[:3] for intent in found) > 1:
            _logger.error("stripe has several payments of one order", order_id=reference)
        return found[0] if found else None

    async def _refunds_of(self, intent_id: str, reference: str) -> frozenset[str]:
        references: set[str] = set()
        after: str | None = None
        for _ in range(REFUND_PAGES_MAX):
            params: stripe.params.RefundListParams = {"payment_intent": intent_id, "limit": REFUNDS_PER_PAGE}
            if after is not None:
                params["starting_after"] = after
            page = await _read(self._refunds.list_async(params), reference)
            references |= {
                refund.metadata[REFUND_FIELD]
                for refund in page.data
                if refund.metadata and REFUND_FIELD in refund.metadata and refund.status in _REFUND_TOOK_PLACE
            }
            if not page.has_more:
                break
            after = page.data[-1].id
        return frozenset(references)


async def _answered(sent: Awaitable[_T], call: _Call) -> _T | Declined:
    return await _in_time(sent, call.reference, call.idempotency_key)


async def _in_time(sent: Awaitable[_T], reference: str, idempotency_key: str) -> _T | Declined:
    try:
        async with asyncio.timeout(CALL_DEADLINE_S):
            return await sent
    except TimeoutError as error:
        raise GatewayTimeout(f"no answer within {CALL_DEADLINE_S} s") from error
    except stripe.StripeError as error:
        return refusal_of(error, reference=reference, idempotency_key=idempotency_key)


async def _read(sent: Awaitable[_T], reference: str) -> _T:
    """Awaits a request that changes nothing."""
    answer = await _in_time(sent, reference, "")
    if isinstance(answer, Declined):
        raise GatewayUnavailable(f"Stripe's books cannot be read: {answer.reason}")
    return answer


def _answer_in_books(call: _Call, payment: Payment) -> Answer | None:
    """Returns the answer that the books imply for a call; None when they show no effect of it."""
    match call:
        case AuthoriseCall() if payment.status == "declined":
            return Declined("declined, as Stripe's books say")
        case AuthoriseCall():
            return Succeeded(payment.gateway_ref, payment.card)
        case CaptureCall():
            done = payment.status == "captured"
        case VoidCall():
            done = payment.status == "voided"
        case RefundCall():
            done = call.refund_reference in payment.refunds
    return Succeeded(payment.gateway_ref) if done else None


def _expect(answer: stripe.PaymentIntent | Declined, status: str) -> Answer:
    if isinstance(answer, Declined):
        return answer
    if answer.status != status:
        raise GatewayTimeout(f"the payment {answer.id} is {answer.status}, not yet {status}")
    return Succeeded(answer.id, _card_of(answer))


def _payment_of(intent: stripe.PaymentIntent, refunds: frozenset[str]) -> Payment:
    status = _STATUSES.get(intent.status)
    if status is None:
        raise GatewayUnavailable(f"the payment {intent.id} is {intent.status}")
    currency = intent.currency.upper()
    try:
        return Payment(
            status=status,
            gateway_ref=intent.id,
            authorised_minor=from_stripe_amount(intent.amount, currency),
            captured_minor=from_stripe_amount(intent.amount_received, currency),
            currency=currency,
            refunds=refunds,
            card=_card_of(intent),
        )
    except UnsupportedAmount as error:
        raise GatewayError(f"the payment {intent.id} is none of ours: {error}") from error


def _card_details_of(intent: stripe.PaymentIntent) -> _CardDetails | None:
    charge = intent.latest_charge
    details = charge.payment_method_details if isinstance(charge, stripe.Charge) else None
    return None if details is None else details.card


def _card_of(intent: stripe.PaymentIntent) -> str | None:
    """Returns the fingerprint, the same for every use of a card number in the account.

    Source: docs.stripe.com/api/charges/object, `payment_method_details.card.fingerprint`.
    """
    card = _card_details_of(intent)
    return None if card is None else card.fingerprint


def _check_lifetime(intent: stripe.PaymentIntent, reference: str) -> None:
    """Tells of a hold that ends before deals may rely on it: its capture will be refused."""
    card = _card_details_of(intent)
    capture_before_s = None if card is None else card.capture_before
    if capture_before_s is None:
        return
    lifetime_ms = (capture_before_s - intent.created) * 1000
    if lifetime_ms < STRIPE_RULES.authorisation_lifetime_ms:
        _logger.warning("authorisation ends early", order_id=reference, lifetime_ms=lifetime_ms)


def _rank(intent: stripe.PaymentIntent) -> int:
    return _HELD_FIRST.index(intent.status) if intent.status in _HELD_FIRST else len(_HELD_FIRST)
