"""The sandbox keeps its word as a gateway: one key, one effect, and a lost answer can be asked for again."""

import asyncio

import asyncpg
import pytest

from pintuan.money.payments.gateway import (
    AuthoriseCall,
    CaptureCall,
    Declined,
    Gateway,
    GatewayTimeout,
    KeyMisused,
    Succeeded,
    VoidCall,
    idempotency_key_of,
)
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.sandbox.methods import SLOW_AUTHORISATION_S, UNKNOWN_METHOD

pytestmark = pytest.mark.anyio


@pytest.fixture
def gateway(pool: asyncpg.Pool) -> SandboxGateway:
    return SandboxGateway(pool)


def authorise_call(method: str, *, reference: str = "ord_1", amount_minor: int = 900) -> AuthoriseCall:
    return AuthoriseCall(
        idempotency_key=idempotency_key_of(reference, "authorise"),
        reference=reference,
        payment_method=method,
        buyer_id="ann",
        amount_minor=amount_minor,
        currency="USD",
    )


def capture_call(*, reference: str = "ord_1", amount_minor: int = 800) -> CaptureCall:
    return CaptureCall(
        idempotency_key=idempotency_key_of(reference, "capture"),
        reference=reference,
        amount_minor=amount_minor,
    )


def void_call(*, reference: str = "ord_1") -> VoidCall:
    return VoidCall(idempotency_key=idempotency_key_of(reference, "void"), reference=reference)


async def status_of(gateway: Gateway, reference: str = "ord_1") -> tuple[str, int] | None:
    payment = await gateway.look_up(reference)
    return None if payment is None else (payment.status, payment.captured_minor)


@pytest.mark.parametrize("method", ["pm_ok", "pm_ok:card-7", "pm_capture_fails", "pm_capture_timeout"])
async def test_a_good_method_is_authorised(gateway: SandboxGateway, method: str) -> None:
    assert isinstance(await gateway.authorise(authorise_call(method)), Succeeded)
    assert await status_of(gateway) == ("authorised", 0)


@pytest.mark.parametrize(("method", "reason"), [("pm_declined", "declined"), ("pm_gold", UNKNOWN_METHOD)])
async def test_a_bad_method_is_declined(gateway: SandboxGateway, method: str, reason: str) -> None:
    answer = await gateway.authorise(authorise_call(method))

    assert isinstance(answer, Declined)
    assert reason in answer.reason
    assert await status_of(gateway) == ("declined", 0)


async def test_a_slow_method_is_authorised_only_after_its_time(
    pool: asyncpg.Pool,
) -> None:
    waited: list[float] = []
    released = asyncio.Event()

    async def wait(delay_s: float) -> None:
        waited.append(delay_s)
        await released.wait()

    gateway = SandboxGateway(pool, pause=wait)
    call = asyncio.create_task(gateway.authorise(authorise_call("pm_slow")))
    quick = await gateway.authorise(authorise_call("pm_ok", reference="ord_2"))

    assert isinstance(quick, Succeeded)
    assert await status_of(gateway) is None
    released.set()
    assert isinstance(await call, Succeeded)
    assert waited == [SLOW_AUTHORISATION_S]


async def test_a_lost_authorisation_took_place_and_is_answered_the_second_time(
    gateway: SandboxGateway,
) -> None:
    with pytest.raises(GatewayTimeout):
        await gateway.authorise(authorise_call("pm_timeout"))

    assert await status_of(gateway) == ("authorised", 0)
    assert isinstance(await gateway.authorise(authorise_call("pm_timeout")), Succeeded)


async def test_a_lost_capture_took_place_and_is_answered_the_second_time(gateway: SandboxGateway) -> None:
    await gateway.authorise(authorise_call("pm_capture_timeout"))
    with pytest.raises(GatewayTimeout):
        await gateway.capture(capture_call())

    assert await status_of(gateway) == ("captured", 800)
    assert isinstance(await gateway.capture(capture_call()), Succeeded)
    assert await status_of(gateway) == ("captured", 800)


async def test_a_lost_void_took_place_and_is_answered_the_second_time(gateway: SandboxGateway) -> None:
    await gateway.authorise(authorise_call("pm_void_timeout"))
    with pytest.raises(GatewayTimeout):
        await gateway.void(void_call())

    assert await status_of(gateway) == ("voided", 0)
    assert isinstance(await gateway.void(void_call()), Succeeded)


async def test_a_capture_that_fails_leaves_a_hold_that_can_be_voided(gateway: SandboxGateway) -> None:
    await gateway.authorise(authorise_call("pm_capture_fails"))

    assert isinstance(await gateway.capture(capture_call()), Declined)
    assert await status_of(gateway) == ("authorised", 0)
    assert isinstance(await gateway.void(void_call()), Succeeded)


async def test_the_same_key_gives_the_same_answer_and_moves_money_once(
    gateway: SandboxGateway, pool: asyncpg.Pool
) -> None:
    other_process = SandboxGateway(pool)
    answers = [await side.authorise(authorise_call("pm_ok")) for side in (gateway, other_process, gateway)]
    at_once = await asyncio.gather(
        *(side.capture(capture_call()) for side in (gateway, other_process) for _ in range(5))
    )

    assert len(set(answers)) == len(set(at_once)) == 1
    assert await status_of(gateway) == ("captured", 800)
    assert await pool.fetchval("SELECT count(*) FROM sandbox_gateway.calls") == 2


async def test_a_declined_key_stays_declined(gateway: SandboxGateway) -> None:
    first = await gateway.authorise(authorise_call("pm_declined"))

    assert await gateway.authorise(authorise_call("pm_declined")) == first


@pytest.mark.parametrize(
    "other",
    [
        authorise_call("pm_ok", amount_minor=901),
        authorise_call("pm_ok:card-7"),
    ],
)
async def test_the_same_key_with_other_arguments_is_an_error(
    gateway: SandboxGateway, other: AuthoriseCall
) -> None:
    await gateway.authorise(authorise_call("pm_ok"))

    with pytest.raises(KeyMisused):
        await gateway.authorise(other)
    assert await status_of(gateway) == ("authorised", 0)


async def test_a_capture_repeated_for_another_amount_is_an_error(gateway: SandboxGateway) -> None:
    await gateway.authorise(authorise_call("pm_ok"))
    await gateway.capture(capture_call(amount_minor=800))

    with pytest.raises(KeyMisused):
        await gateway.capture(capture_call(amount_minor=700))


async def test_a_second_key_for_the_same_reference_is_refused_without_harming_its_batch(
    gateway: SandboxGateway,
) -> None:
    await gateway.authorise(authorise_call("pm_ok"))
    second = AuthoriseCall(
        idempotency_key="ord_1:again",
        reference="ord_1",
        payment_method="pm_ok",
        buyer_id="ann",
        amount_minor=900,
        currency="USD",
    )
    entries = await asyncio.gather(
        gateway.authorise(second),
        gateway.authorise(authorise_call("pm_ok", reference="ord_2")),
        return_exceptions=True,
    )

    assert isinstance(entries[0], KeyMisused)
    assert isinstance(entries[1], Succeeded)


async def test_what_was_captured_cannot_be_voided_nor_the_other_way_round(gateway: SandboxGateway) -> None:
    await gateway.authorise(authorise_call("pm_ok"))
    await gateway.capture(capture_call())
    await gateway.authorise(authorise_call("pm_ok", reference="ord_2"))
    await gateway.void(void_call(reference="ord_2"))

    assert isinstance(await gateway.void(void_call()), Declined)
    assert isinstance(await gateway.capture(capture_call(reference="ord_2")), Declined)
    assert await status_of(gateway) == ("captured", 800)
    assert await status_of(gateway, "ord_2") == ("voided", 0)


@pytest.mark.parametrize("amount_minor", [901, 10_000])
async def test_no_more_is_captured_than_was_authorised(gateway: SandboxGateway, amount_minor: int) -> None:
    await gateway.authorise(authorise_call("pm_ok"))

    assert isinstance(await gateway.capture(capture_call(amount_minor=amount_minor)), Declined)


async def test_a_payment_nobody_authorised_is_unknown(gateway: SandboxGateway) -> None:
    assert await gateway.look_up("ord_1") is None
    assert isinstance(await gateway.capture(capture_call()), Declined)
    assert isinstance(await gateway.void(void_call()), Declined)


async def test_many_calls_at_once_are_all_answered(gateway: SandboxGateway, pool: asyncpg.Pool) -> None:
    calls = [authorise_call("pm_ok", reference=f"ord_{number}") for number in range(600)]

    answers = await asyncio.gather(*(gateway.authorise(call) for call in calls))

    assert {answer.gateway_ref for answer in answers if isinstance(answer, Succeeded)} == {
        f"sandbox:{call.reference}" for call in calls
    }
    assert await pool.fetchval("SELECT count(*) FROM sandbox_gateway.authorisations") == 600


async def test_books_that_do_not_answer_leave_the_outcome_unknown(pool: asyncpg.Pool) -> None:
    gateway = SandboxGateway(pool)
    await pool.execute("ALTER TABLE sandbox_gateway.calls RENAME TO burnt")

    with pytest.raises(GatewayTimeout):
        await gateway.authorise(authorise_call("pm_ok"))
