"""Whatever the gateway, it keeps the protocol's word: the sandbox and Stripe pass the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

import asyncpg
import pytest

from pintuan.money.payments.gateway import (
    AuthoriseCall,
    CaptureCall,
    Declined,
    Gateway,
    GatewayTimeout,
    KeyMisused,
    OperationKind,
    Payment,
    RefundCall,
    Succeeded,
    VoidCall,
    idempotency_key_of,
)
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.stripe.gateway import open_stripe
from tests.stripe_server import LOST_AFTER, SECRET_KEY, serving_stripe

pytestmark = pytest.mark.anyio

ORDER: Final = "ord_1"
AUTHORISED_MINOR: Final = 900
CAPTURED_MINOR: Final = 800
LOSING: Final[dict[OperationKind, str]] = {
    "authorise": "pm_timeout",
    "capture": "pm_capture_timeout",
    "void": "pm_void_timeout",
    "refund": "pm_refund_timeout",
}
PATHS: Final[dict[OperationKind, str]] = {
    "authorise": "payment_intents",
    "capture": "/capture",
    "void": "/cancel",
    "refund": "refunds",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway under test, a second process' view of it, and what its cards are called."""

    gateway: Gateway
    elsewhere: Gateway
    good: str
    declined: str
    # Returns a method whose first answer to such a call gets lost, though the call takes place.
    losing: Callable[[OperationKind], str]

    async def authorise(self, method: str | None = None, amount_minor: int = AUTHORISED_MINOR) -> object:
        return await self.gateway.authorise(self.authorisation(method, amount_minor))

    def authorisation(self, method: str | None = None, amount_minor: int = AUTHORISED_MINOR) -> AuthoriseCall:
        return AuthoriseCall(
            idempotency_key=idempotency_key_of(ORDER, "authorise"),
            reference=ORDER,
            payment_method=method or self.good,
            buyer_id="ann",
            amount_minor=amount_minor,
            currency="USD",
        )

    async def payment(self) -> Payment:
        payment = await self.gateway.look_up(ORDER)
        assert payment is not None
        return payment


@pytest.fixture(params=["sandbox", "stripe"])
async def subject(request: pytest.FixtureRequest, pool: asyncpg.Pool) -> AsyncIterator[Subject]:
    if request.param == "sandbox":
        yield Subject(
            SandboxGateway(pool), SandboxGateway(pool), "pm_ok", "pm_declined", lambda kind: LOSING[kind]
        )
        return

    def losing(kind: OperationKind) -> str:
        server.next_time(PATHS[kind], LOST_AFTER)
        return "pm_card_visa"

    async with (
        serving_stripe() as server,
        open_stripe(pool, secret_key=SECRET_KEY, api_base=server.url) as gateway,
        open_stripe(pool, secret_key=SECRET_KEY, api_base=server.url) as elsewhere,
    ):
        yield Subject(gateway, elsewhere, "pm_card_visa", "pm_card_visa_chargeDeclined", losing)


def capture(amount_minor: int = CAPTURED_MINOR, key: str | None = None) -> CaptureCall:
    return CaptureCall(
        idempotency_key=key or idempotency_key_of(ORDER, "capture"),
        reference=ORDER,
        amount_minor=amount_minor,
    )


def void(key: str | None = None) -> VoidCall:
    return VoidCall(idempotency_key=key or idempotency_key_of(ORDER, "void"), reference=ORDER)


def refund(number: int, amount_minor: int) -> RefundCall:
    key = idempotency_key_of(ORDER, "refund", number)
    return RefundCall(idempotency_key=key, reference=ORDER, refund_reference=key, amount_minor=amount_minor)


async def test_an_authorisation_holds_all_and_takes_nothing(subject: Subject) -> None:
    answer = await subject.authorise()

    payment = await subject.payment()
    assert isinstance(answer, Succeeded)
    assert answer.gateway_ref == payment.gateway_ref
    assert (payment.status, payment.authorised_minor, payment.captured_minor) == (
        "authorised",
        AUTHORISED_MINOR,
        0,
    )
    assert (payment.currency, payment.refunds) == ("USD", frozenset())


async def test_a_declined_card_holds_nothing(subject: Subject) -> None:
    answer = await subject.authorise(subject.declined)

    assert isinstance(answer, Declined)
    assert "declined" in answer.reason
    assert (await subject.payment()).status == "declined"
    assert await subject.authorise(subject.declined) == answer


async def test_a_reference_nobody_used_is_unknown(subject: Subject) -> None:
    assert await subject.gateway.look_up(ORDER) is None


async def test_the_same_key_gives_the_same_answer_from_whichever_process(subject: Subject) -> None:
    first = await subject.authorise()
    await subject.gateway.capture(capture())

    assert await subject.elsewhere.authorise(subject.authorisation()) == first
    assert await subject.elsewhere.capture(capture()) == await subject.gateway.capture(capture())
    assert (await subject.payment()).captured_minor == CAPTURED_MINOR


async def test_many_at_once_with_one_key_move_money_once(subject: Subject) -> None:
    answers = await asyncio.gather(
        *(side.authorise(subject.authorisation()) for side in (subject.gateway, subject.elsewhere) * 5),
        return_exceptions=True,
    )

    succeeded = {answer for answer in answers if isinstance(answer, Succeeded)}
    # One that finds the first still under way is told nothing yet.
    assert {type(answer) for answer in answers} <= {Succeeded, GatewayTimeout}
    assert len(succeeded) == 1
    assert (await subject.payment()).authorised_minor == AUTHORISED_MINOR


async def test_a_key_used_for_something_else_is_an_error(subject: Subject) -> None:
    await subject.authorise()
    with pytest.raises(KeyMisused):
        await subject.authorise(amount_minor=AUTHORISED_MINOR + 1)

    await subject.gateway.capture(capture())
    with pytest.raises(KeyMisused):
        await subject.gateway.capture(capture(CAPTURED_MINOR - 1))
    assert (await subject.payment()).captured_minor == CAPTURED_MINOR


@pytest.mark.parametrize("amount_minor", [1, CAPTURED_MINOR, AUTHORISED_MINOR])
async def test_up_to_all_that_was_held_can_be_captured(subject: Subject, amount_minor: int) -> None:
    await subject.authorise()

    assert isinstance(await subject.gateway.capture(capture(amount_minor)), Succeeded)
    payment = await subject.payment()
    assert (payment.status, payment.captured_minor) == ("captured", amount_minor)


async def test_no_more_is_captured_than_was_held(subject: Subject) -> None:
    await subject.authorise()

    assert isinstance(await subject.gateway.capture(capture(AUTHORISED_MINOR + 1)), Declined)
    assert (await subject.payment()).status == "authorised"


async def test_a_payment_is_captured_once(subject: Subject) -> None:
    await subject.authorise()
    await subject.gateway.capture(capture())

    answer = await subject.gateway.capture(capture(100, key="another"))
    assert answer == Declined("the payment is already captured")
    assert (await subject.payment()).captured_minor == CAPTURED_MINOR


async def test_what_was_voided_is_let_go_of_for_good(subject: Subject) -> None:
    await subject.authorise()

    assert isinstance(await subject.gateway.void(void()), Succeeded)
    assert (await subject.payment()).status == "voided"
    assert await subject.gateway.capture(capture()) == Declined("the payment is already voided")
    assert await subject.gateway.void(void(key="another")) == Declined("the payment is already voided")


async def test_what_was_captured_cannot_be_voided(subject: Subject) -> None:
    await subject.authorise()
    await subject.gateway.capture(capture())

    assert await subject.gateway.void(void()) == Declined("the payment is already captured")
    assert (await subject.payment()).status == "captured"


async def test_refunds_in_parts_are_each_in_the_books(subject: Subject) -> None:
    await subject.authorise()
    await subject.gateway.capture(capture())

    first = await subject.gateway.refund(refund(1, 300))
    assert isinstance(first, Succeeded)
    assert await subject.elsewhere.refund(refund(1, 300)) == first
    assert isinstance(await subject.gateway.refund(refund(2, 500)), Succeeded)
    payment = await subject.payment()
    assert (payment.status, payment.captured_minor) == ("captured", CAPTURED_MINOR)
    assert payment.refunds == {"ord_1:refund:1", "ord_1:refund:2"}


async def test_no_more_is_given_back_than_was_captured(subject: Subject) -> None:
    await subject.authorise()
    await subject.gateway.capture(capture())
    await subject.gateway.refund(refund(1, 300))

    assert isinstance(await subject.gateway.refund(refund(2, 501)), Declined)
    assert (await subject.payment()).refunds == {"ord_1:refund:1"}
    assert isinstance(await subject.gateway.refund(refund(3, 500)), Succeeded)
    assert isinstance(await subject.gateway.refund(refund(4, 1)), Declined)


async def test_what_was_never_captured_is_not_given_back(subject: Subject) -> None:
    await subject.authorise()

    assert isinstance(await subject.gateway.refund(refund(1, 100)), Declined)


async def test_a_lost_authorisation_took_place_and_its_key_tells(subject: Subject) -> None:
    method = subject.losing("authorise")
    with pytest.raises(GatewayTimeout):
        await subject.authorise(method)

    payment = await subject.payment()
    assert payment.status == "authorised"
    assert await subject.authorise(method) == Succeeded(payment.gateway_ref)


async def test_a_card_is_told_by_the_answer_and_by_the_books_whoever_pays_with_it(subject: Subject) -> None:
    async def card_of(order: str, method: str, buyer: str) -> str | None:
        call = replace(
            subject.authorisation(f"{subject.good}{method}"),
            idempotency_key=idempotency_key_of(order, "authorise"),
            reference=order,
            buyer_id=buyer,
        )
        answer, payment = await subject.gateway.authorise(call), await subject.elsewhere.look_up(order)
        assert isinstance(answer, Succeeded)
        assert payment is not None
        assert answer.card == payment.card
        return answer.card

    first = await card_of("ord_1", ":one", "ann")
    assert first is not None
    assert await card_of("ord_2", ":one", "bob") == first
    assert await card_of("ord_3", ":two", "ann") != first
    assert await card_of("ord_4", "", "bob") != await card_of("ord_5", "", "cem")


@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
async def test_a_lost_answer_took_place_and_its_key_tells(subject: Subject, kind: OperationKind) -> None:
    await subject.authorise(subject.losing(kind))
    if kind == "refund":
        await subject.gateway.capture(capture())

    async def call() -> object:
        match kind:
            case "capture":
                return await subject.gateway.capture(capture())
            case "void":
                return await subject.gateway.void(void())
            case _:
                return await subject.gateway.refund(refund(1, 300))

    with pytest.raises(GatewayTimeout):
        await call()
    before = await subject.payment()
    assert before.status == ("voided" if kind == "void" else "captured")
    assert isinstance(await call(), Succeeded)
    assert await subject.payment() == before


async def test_a_hold_lasts_as_long_as_deals_may_count_on(subject: Subject) -> None:
    assert subject.gateway.authorisation_lifetime_ms == 7 * 24 * 3_600_000
