"""What is Stripe's own: its errors, its amounts, and how an order's payment is found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from pintuan.money.payments.gateway import (
    AuthoriseCall,
    CaptureCall,
    Declined,
    GatewayTimeout,
    GatewayUnavailable,
    PaymentMissing,
    RefundCall,
    Succeeded,
    VoidCall,
)
from pintuan.money.payments.stripe import gateway as stripe_gateway
from pintuan.money.payments.stripe.gateway import StripeGateway, open_stripe
from tests.marketplace import free_port
from tests.rows import Rows
from tests.stripe_books import CREATED_S
from tests.stripe_server import (
    BROKEN_AFTER,
    BROKEN_BEFORE,
    LOCKED,
    LOST_AFTER,
    LOST_BEFORE,
    NOT_PERMITTED,
    RATE_LIMITED,
    SECRET_KEY,
    UNAVAILABLE,
    Fault,
    StripeServer,
    serving_stripe,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with serving_stripe() as server:
        yield server


@pytest.fixture
async def gateway(server: StripeServer, pool: asyncpg.Pool) -> AsyncIterator[StripeGateway]:
    async with open_stripe(pool, secret_key=SECRET_KEY, api_base=server.url) as gateway:
        yield gateway


def authorisation(
    method: str = "pm_card_visa", *, reference: str = "ord_1", amount_minor: int = 900, currency: str = "USD"
) -> AuthoriseCall:
    return AuthoriseCall(
        idempotency_key=f"{reference}:authorise",
        reference=reference,
        payment_method=method,
        buyer_id="ann",
        amount_minor=amount_minor,
        currency=currency,
    )


def capture(amount_minor: int = 800, *, reference: str = "ord_1") -> CaptureCall:
    return CaptureCall(idempotency_key=f"{reference}:capture", reference=reference, amount_minor=amount_minor)


def void(reference: str = "ord_1") -> VoidCall:
    return VoidCall(idempotency_key=f"{reference}:void", reference=reference)


def refund(amount_minor: int = 100) -> RefundCall:
    return RefundCall(
        idempotency_key="ord_1:refund:1",
        reference="ord_1",
        refund_reference="ord_1:refund:1",
        amount_minor=amount_minor,
    )


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_1Forgotten", "resource_missing"),
    ],
)
async def test_a_card_that_cannot_pay_is_declined_with_stripes_word_for_it(
    gateway: StripeGateway, method: str, reason: str
) -> None:
    answer = await gateway.authorise(authorisation(method))

    assert isinstance(answer, Declined)
    assert answer.reason.startswith(reason)
    payment = await gateway.look_up("ord_1")
    assert payment is None or payment.status == "declined"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (RATE_LIMITED, GatewayUnavailable),
        (LOCKED, GatewayUnavailable),
        (NOT_PERMITTED, GatewayUnavailable),
        (UNAVAILABLE, GatewayTimeout),
        (LOST_BEFORE, GatewayTimeout),
        (LOST_AFTER, GatewayTimeout),
    ],
)
async def test_a_fault_that_passes_leaves_the_key_good(
    gateway: StripeGateway, server: StripeServer, fault: Fault, error: type[Exception]
) -> None:
    server.next_time("payment_intents", fault)
    with pytest.raises(error):
        await gateway.authorise(authorisation())

    assert isinstance(await gateway.authorise(authorisation()), Succeeded)
    assert len(server.books.intents) == 1


@pytest.mark.parametrize("kind", ["authorise", "capture", "void", "refund"])
async def test_a_fault_that_stripe_keeps_under_the_key_leaves_the_books_to_tell(
    gateway: StripeGateway, server: StripeServer, kind: str
) -> None:
    calls = {
        "authorise": lambda: gateway.authorise(authorisation()),
        "capture": lambda: gateway.capture(capture()),
        "void": lambda: gateway.void(void()),
        "refund": lambda: gateway.refund(refund()),
    }
    for earlier in {"capture": ["authorise"], "void": ["authorise"], "refund": ["authorise", "capture"]}.get(
        kind, []
    ):
        await calls[earlier]()
    server.next_time("", BROKEN_AFTER)
    with pytest.raises(GatewayTimeout):
        await calls[kind]()

    assert isinstance(await calls[kind](), Succeeded)
    assert len(server.books.intents) == 1
    assert len(server.books.refunds) == (kind == "refund")


async def test_a_fault_kept_under_the_key_without_any_effect_stays_unknown(
    gateway: StripeGateway, server: StripeServer
) -> None:
    await gateway.authorise(authorisation())
    server.next_time("/capture", BROKEN_BEFORE)
    for _ in range(2):
        with pytest.raises(GatewayTimeout):
            await gateway.capture(capture())


async def test_an_answer_that_does_not_come_is_not_waited_for(
    gateway: StripeGateway, server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_gateway, "CALL_DEADLINE_S", 0.05)
    answered = asyncio.Event()
    server.next_time("payment_intents", Fault("held", event=answered))
    with pytest.raises(GatewayTimeout, match="no answer within"):
        await gateway.authorise(authorisation())

    monkeypatch.undo()
    # The first is still under way there, so the second is told nothing.
    with pytest.raises(GatewayTimeout, match="in-progress"):
        await gateway.authorise(authorisation())
    answered.set()


async def test_a_wrong_secret_key_is_told_loudly(server: StripeServer, pool: asyncpg.Pool) -> None:
    async with open_stripe(pool, secret_key="sk_test_other", api_base=server.url) as gateway:
        with capture_logs() as logs, pytest.raises(GatewayUnavailable):
            await gateway.authorise(authorisation())

    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("stripe refuses the secret key", "error")
    ]


async def test_a_server_that_is_not_there_took_nothing(pool: asyncpg.Pool) -> None:
    async with open_stripe(
        pool, secret_key=SECRET_KEY, api_base=f"http://127.0.0.1:{free_port()}"
    ) as gateway:
        with pytest.raises(GatewayUnavailable, match="cannot be reached"):
            await gateway.authorise(authorisation())


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount"), [("JPY", 900, 900), ("ISK", 900, 90_000), ("KWD", 9_000, 9_000)]
)
async def test_amounts_are_counted_as_stripe_does_on_the_way_there_and_back(
    gateway: StripeGateway,
    server: StripeServer,
    currency: str,
    amount_minor: int,
    amount: int,
) -> None:
    call = authorisation(currency=currency, amount_minor=amount_minor)
    assert isinstance(await gateway.authorise(call), Succeeded)
    assert isinstance(await gateway.capture(capture(amount_minor - 10)), Succeeded)
    assert isinstance(await gateway.refund(refund(10)), Succeeded)

    intent = server.books.intent_of("ord_1")
    assert (intent["amount"], intent["currency"]) == (amount, currency.lower())
    payment = await gateway.look_up("ord_1")
    assert payment is not None
    assert (payment.authorised_minor, payment.captured_minor, payment.currency) == (
        amount_minor,
        amount_minor - 10,
        currency,
    )


async def test_an_amount_stripe_cannot_count_never_leaves(
    gateway: StripeGateway, server: StripeServer
) -> None:
    answer = await gateway.authorise(authorisation(currency="KWD", amount_minor=5_124))

    assert answer == Declined("Stripe takes KWD in multiples of 10 minor units")
    assert server.requests == []


async def test_a_refund_that_fails_at_once_is_declined(gateway: StripeGateway) -> None:
    await gateway.authorise(authorisation("pm_card_refundFail"))
    await gateway.capture(capture())

    assert await gateway.refund(refund()) == Declined("the refund failed: expired_or_canceled_card")
    payment = await gateway.look_up("ord_1")
    assert payment is not None
    assert payment.refunds == frozenset()


async def test_the_payment_is_found_by_the_answer_while_search_lags(
    gateway: StripeGateway, server: StripeServer, pool: asyncpg.Pool
) -> None:
    order = await (await Rows.open(pool)).order()
    answer = await gateway.authorise(authorisation(reference=order))
    assert isinstance(answer, Succeeded)
    server.books.index_lags = True
    with pytest.raises(PaymentMissing):
        await gateway.capture(capture(reference=order))

    await keep_answer(pool, order, answer.gateway_ref)
    assert isinstance(await gateway.capture(capture(reference=order)), Succeeded)
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.status == "captured"


async def test_the_payment_is_found_by_an_event_while_search_lags(
    gateway: StripeGateway, server: StripeServer, pool: asyncpg.Pool
) -> None:
    order = await (await Rows.open(pool)).order()
    server.next_time("payment_intents", LOST_AFTER)
    with pytest.raises(GatewayTimeout):
        await gateway.authorise(authorisation(reference=order))
    server.books.index_lags = True
    assert await gateway.look_up(order) is None

    await pool.execute(
        "INSERT INTO gateway_events (gateway, event_id, kind, reference, payment_ref)"
        " VALUES ('stripe', 'evt_1', 'payment_intent.amount_capturable_updated', $1, $2)",
        order,
        server.books.intent_of(order)["id"],
    )
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.status == "authorised"


async def test_a_payment_of_another_gateway_is_none_of_stripes(
    gateway: StripeGateway, server: StripeServer, pool: asyncpg.Pool
) -> None:
    order = await (await Rows.open(pool)).order()
    await keep_answer(pool, order, f"sandbox:{order}")

    with pytest.raises(PaymentMissing):
        await gateway.void(void(order))
    assert server.requests == []


async def test_a_payment_stripe_misses_is_no_refusal(gateway: StripeGateway, pool: asyncpg.Pool) -> None:
    order = await (await Rows.open(pool)).order()
    await keep_answer(pool, order, "pi_of_another_account")

    with pytest.raises(PaymentMissing):
        await gateway.capture(capture(reference=order))


async def test_a_hold_that_ends_early_is_told(
    gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.stripe_books.LIFETIME_S", 3_600)
    with capture_logs() as logs:
        assert isinstance(await gateway.authorise(authorisation()), Succeeded)

    assert [(line["event"], line["lifetime_ms"]) for line in logs] == [
        ("authorisation ends early", 3_600_000)
    ]


async def test_a_capture_after_the_hold_expired_is_declined(
    gateway: StripeGateway, server: StripeServer
) -> None:
    await gateway.authorise(authorisation())
    assert server.books.cancel_by_itself("ord_1")["created"] == CREATED_S

    assert await gateway.capture(capture()) == Declined("the payment is already voided")


async def keep_answer(pool: asyncpg.Pool, order: str, gateway_ref: str) -> None:
    """Writes what the executor does after an authorisation."""
    updated = await pool.execute(
        "UPDATE payment_operations SET gateway_ref = $2 WHERE order_id = $1 AND kind = 'authorise'",
        order,
        gateway_ref,
    )
    assert updated == "UPDATE 1"
