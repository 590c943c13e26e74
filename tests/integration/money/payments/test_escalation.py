"""Whose outcome nobody knows waits for a person, changes nothing, and ends right when it is known."""

import re

import anyio.to_thread
import asyncpg
import pytest
from click.testing import CliRunner, Result
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from groups.engine import GroupEngine
from groups.inspection import differences_of_lane
from groups.keys import Lane
from pintuan.cli import main
from pintuan.money.payments import operations
from pintuan.money.payments.escalation import OperationName, list_escalated, look_again, settle_escalated
from pintuan.money.payments.gateway import (
    CaptureCall,
    Declined,
    GatewayTimeout,
    GatewayUnavailable,
    Succeeded,
    VoidCall,
)
from pintuan.money.payments.operations import ATTEMPTS_MAX, GIVE_UP_AGE_MS, KEY_TRUST_MS, PaymentExecutor
from pintuan.money.refunds.errors import NotRefundable
from tests.auditing import audited
from tests.integration.money.payments.test_books import balances, captured, refund
from tests.integration.money.payments.watching import WatchedGateway
from tests.interleaving import lane_store
from tests.market import Market
from tests.rows import Rows

pytestmark = pytest.mark.anyio


async def age(rows: Rows, kind: str, *, attempts: int, age_ms: int = 0) -> None:
    """Makes operations of a kind look as if they had been tried that often, for that long."""
    await rows.pool.execute(
        "UPDATE payment_operations SET attempts = $2, due_at = app_now(),"
        " (created_at, first_tried_at) = (SELECT began, began FROM (SELECT"
        " app_now() - $3 * interval '1 millisecond' AS began) AS beginning)"
        " WHERE kind = $1 AND ended_at IS NULL",
        kind,
        attempts,
        age_ms,
    )


async def escalate(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, order: str, kind: str
) -> None:
    """Lets the last attempt of the order's operation have no answer, and its look-up neither."""
    gateway.broken[order] = GatewayTimeout("lost")
    gateway.look_up_error = GatewayUnavailable("closed")
    await age(rows, kind, attempts=ATTEMPTS_MAX - 1)
    await executor.drain()
    del gateway.broken[order]
    gateway.look_up_error = None
    assert (await rows.operations(order))[kind] == "failed"


async def charged(rows: Rows, executor: PaymentExecutor, *, method: str = "pm_ok") -> str:
    order = await rows.order(group=await rows.group(), method=method)
    await executor.drain()
    await rows.charge(order)
    return order


async def notices(pool: asyncpg.Pool, redis_url: str) -> list[str]:
    """The escalated operations the audit names, where it finds nothing broken in the money."""
    report = await audited(pool, redis_url)
    money = [check for check in report.checks if check.about.startswith(("6, 7:", "7:"))]
    assert [check for check in money if check.offenders] == []
    (notice,) = [notice for notice in report.notices if notice.name == "escalated_operations"]
    return [offender.id for offender in notice.offenders]


async def test_a_capture_given_up_changes_nothing_and_is_seen(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, redis_url: str
) -> None:
    order = await charged(rows, executor)
    before = await balances(rows)

    await escalate(rows, executor, gateway, order, "capture")

    assert await rows.status(order) == "authorised"
    assert await rows.operations(order) == {"authorise": "succeeded", "capture": "failed"}
    assert await balances(rows) == before
    assert await notices(rows.pool, redis_url) == [f"{order}:capture"]
    await executor.sample()
    shown = REGISTRY.get_sample_value("pintuan_payments", {"kind": "capture", "state": "escalated"})
    assert shown == 1
    with pytest.raises(NotRefundable, match="authorised"):
        await refund(rows, order)


@pytest.mark.parametrize("attempts", [1, ATTEMPTS_MAX])
async def test_a_capture_that_took_place_after_all_is_recorded_when_somebody_asks_again(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, redis_url: str, attempts: int
) -> None:
    order = await charged(rows, executor)
    await escalate(rows, executor, gateway, order, "capture")
    # After five minutes fewer attempts are enough.
    await rows.pool.execute("UPDATE payment_operations SET attempts = $1 WHERE kind = 'capture'", attempts)
    await gateway.sandbox.capture(
        CaptureCall(idempotency_key=f"{order}:capture", reference=order, amount_minor=900)
    )
    sent = len(gateway.keys[order])

    assert await look_again(rows.pool, OperationName(order, "capture"))
    await executor.drain()

    assert await rows.status(order) == "captured"
    assert len(gateway.keys[order]) == sent, "the books were asked, and nothing was sent"
    assert await balances(rows) == {"gateway_clearing": 900, "merchant_payable": -900}
    assert await notices(rows.pool, redis_url) == []


async def test_a_capture_that_never_took_place_is_made_when_somebody_asks_again(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await charged(rows, executor)
    await escalate(rows, executor, gateway, order, "capture")

    await look_again(rows.pool, OperationName(order, "capture"))
    await executor.drain()

    assert await rows.status(order) == "captured"
    assert set(gateway.keys[order]) == {f"{order}:authorise", f"{order}:capture"}


async def test_a_client_that_crashes_over_the_books_keeps_nothing_from_being_escalated(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await charged(rows, executor)
    gateway.broken[order] = ZeroDivisionError("a bug")
    gateway.look_up_error = ZeroDivisionError("another")
    await age(rows, "capture", attempts=ATTEMPTS_MAX - 1)

    await executor.drain()

    assert [one.name for one in await list_escalated(rows.pool, count_max=10)] == [
        OperationName(order, "capture")
    ]


async def test_an_operation_asked_again_in_vain_is_escalated_at_once(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await charged(rows, executor)
    await escalate(rows, executor, gateway, order, "capture")
    await look_again(rows.pool, OperationName(order, "capture"))
    gateway.look_up_error = GatewayUnavailable("closed")
    sent = len(gateway.keys[order])

    await executor.drain()

    assert [one.name for one in await list_escalated(rows.pool, count_max=10)] == [
        OperationName(order, "capture")
    ]
    assert len(gateway.keys[order]) == sent, "whose books are shut is not sent again"


@pytest.mark.parametrize(
    ("answer", "status", "void", "accounts"),
    [
        (Succeeded("ch_1"), "captured", None, {"gateway_clearing": 900, "merchant_payable": -900}),
        (Declined("the bank said no"), "payment_failed", "succeeded", {}),
    ],
)
async def test_what_the_bank_said_of_a_capture_moves_order_and_ledger(
    rows: Rows,
    executor: PaymentExecutor,
    gateway: WatchedGateway,
    answer: Succeeded | Declined,
    status: str,
    void: str | None,
    accounts: dict[str, int],
) -> None:
    order = await charged(rows, executor)
    await escalate(rows, executor, gateway, order, "capture")

    assert await settle_escalated(rows.pool, OperationName(order, "capture"), answer)
    await executor.drain()

    assert await rows.status(order) == status
    assert (await rows.operations(order)).get("void") == void
    assert await balances(rows) == accounts
    assert not await settle_escalated(rows.pool, OperationName(order, "capture"), answer), "once"


@pytest.mark.parametrize("open_again", [False, True])
async def test_redis_gives_back_what_a_capture_held_that_fails_long_after_its_group_ended(
    rows: Rows,
    executor: PaymentExecutor,
    gateway: WatchedGateway,
    engine: GroupEngine,
    redis_url: str,
    open_again: bool,
) -> None:
    market = Market(rows.pool)
    deal = await market.deal(min_headcount=1, ladder=((1, 900),), max_headcount=2)
    order = (await engine.place(market.wish("ann", deal=deal))).order_id
    await executor.drain()
    await market.pass_deadline(await market.group_of(order))
    await engine.advance_due_groups(10)
    await escalate(rows, executor, gateway, order, "capture")
    await market.pass_settling()
    await engine.advance_due_groups(10)
    assert (await market.group(await market.group_of(order)))["status"] == "succeeded"
    async with lane_store(redis_url) as store:
        assert await differences_of_lane(rows.pool, store, Lane(deal, 0)) == set()
    name = OperationName(order, "capture")
    if open_again:
        await look_again(rows.pool, name)
        await rows.pool.execute(
            "UPDATE payment_operations SET created_at = created_at - interval '10 minutes',"
            " due_at = due_at + interval '1 hour'"
        )

    # Redis forgets, and a rebuilt lane has to know of the seat.
    async with Redis.from_url(redis_url, socket_timeout=5.0) as redis:
        await redis.flushall()
    await engine.place(market.wish("bob", deal=deal))
    if open_again:
        await rows.pool.execute(
            "UPDATE payment_operations SET state = 'failed', escalated_at = app_now(),"
            " ended_at = app_now() WHERE kind = 'capture'"
        )
    assert await settle_escalated(rows.pool, name, Declined("the bank said no"))
    await engine.apply_seat_releases(10)
    async with lane_store(redis_url) as store:
        assert await differences_of_lane(rows.pool, store, Lane(deal, 0)) == set()


async def test_an_authorisation_found_after_its_hold_ran_out_is_voided(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group(), method="pm_timeout")
    gateway.look_up_error = GatewayUnavailable("closed")
    await age(rows, "authorise", attempts=ATTEMPTS_MAX - 1)
    await executor.drain()
    gateway.look_up_error = None
    assert await rows.operations(order) == {"authorise": "failed"}
    await rows.move(order, "expired")

    await look_again(rows.pool, OperationName(order, "authorise"))
    await executor.drain()

    assert await rows.operations(order) == {"authorise": "succeeded", "void": "succeeded"}
    assert await rows.status(order) == "expired"


@pytest.mark.parametrize(
    ("age_ms", "ends"),
    [
        (KEY_TRUST_MS + 60_000, {"authorise": "declined"}),
        # The first request may still be on its way, and its key makes sure that it does nothing later.
        (0, {"authorise": "succeeded", "void": "succeeded"}),
    ],
)
async def test_an_authorisation_the_books_never_saw_holds_no_money_of_a_dead_order(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, age_ms: int, ends: dict[str, str]
) -> None:
    order = await rows.order(group=await rows.group())
    await escalate(rows, executor, gateway, order, "authorise")
    await rows.move(order, "expired")
    sent = len(gateway.keys[order])

    await look_again(rows.pool, OperationName(order, "authorise"))
    await age(rows, "authorise", attempts=ATTEMPTS_MAX, age_ms=age_ms)
    await executor.drain()

    assert await rows.operations(order) == ends
    assert (len(gateway.keys[order]) == sent) == (ends == {"authorise": "declined"})


@pytest.mark.parametrize("voided", [True, False])
async def test_a_void_given_up_is_made_or_found_made(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, voided: bool
) -> None:
    order = await rows.order(group=await rows.group())
    await executor.drain()
    await rows.move(order, "cancelled")
    await rows.operation(order, "void")
    await escalate(rows, executor, gateway, order, "void")
    if voided:
        await gateway.sandbox.void(VoidCall(idempotency_key=f"{order}:void", reference=order))

    await look_again(rows.pool, OperationName(order, "void"))
    await executor.drain()

    assert (await rows.operations(order))["void"] == "succeeded"
    payment = await gateway.look_up(order)
    assert payment is not None
    assert payment.status == "voided"
    assert await list_escalated(rows.pool, count_max=10) == []


async def test_a_void_that_is_refused_waits_for_a_person_until_one_has_looked(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway
) -> None:
    order = await rows.order(group=await rows.group())
    await executor.drain()
    await gateway.sandbox.capture(CaptureCall(idempotency_key="by hand", reference=order, amount_minor=900))
    await rows.move(order, "cancelled")
    await rows.operation(order, "void")
    await executor.drain()

    name = OperationName(order, "void")
    (escalated,) = await list_escalated(rows.pool, count_max=10)
    assert (escalated.name, escalated.state, escalated.order_status) == (name, "declined", "cancelled")
    await look_again(rows.pool, name)
    await executor.drain()
    assert [one.name for one in await list_escalated(rows.pool, count_max=10)] == [name]
    assert await settle_escalated(rows.pool, name, Declined("given back at the gateway by hand"))
    assert await list_escalated(rows.pool, count_max=10) == []


@pytest.mark.parametrize("given_back", [True, False])
async def test_a_refund_given_up_cannot_be_asked_for_again_before_its_outcome_is_known(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, redis_url: str, given_back: bool
) -> None:
    order = await captured(rows, executor, method="pm_refund_timeout" if given_back else "pm_ok")
    await refund(rows, order)
    if not given_back:
        gateway.broken[order] = GatewayTimeout("lost")
    gateway.look_up_error = GatewayUnavailable("closed")
    await age(rows, "refund", attempts=ATTEMPTS_MAX - 1)
    await executor.drain()
    gateway.broken.clear()
    gateway.look_up_error = None

    assert await rows.operations(order) == {
        "authorise": "succeeded",
        "capture": "succeeded",
        "refund": "failed",
    }
    assert await notices(rows.pool, redis_url) == [f"{order}:refund:1"]
    with pytest.raises(NotRefundable, match="asked back already"):
        await refund(rows, order)

    assert await look_again(rows.pool, OperationName(order, "refund", 1))
    await executor.drain()

    assert await rows.status(order) == "refunded"
    assert await balances(rows) == {}
    assert await rows.pool.fetchval("SELECT refunded_minor FROM sandbox_gateway.authorisations") == 900


async def test_attempts_for_five_minutes_are_enough_and_eight_in_an_old_row_are_too(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINGER_S_MAX", 0.0)
    old, young = [await rows.order(group=await rows.group()) for _ in range(2)]
    await executor.drain()
    await rows.charge(old, young)
    gateway.broken = {old: GatewayTimeout("lost"), young: GatewayTimeout("lost")}
    least = operations.ATTEMPTS_BEFORE_AGE_COUNTS
    await age(rows, "capture", attempts=least - 2, age_ms=GIVE_UP_AGE_MS + 1)
    await rows.pool.execute(
        "UPDATE payment_operations SET first_tried_at = app_now() WHERE order_id = $1", young
    )

    await executor.drain()
    assert {(await rows.operations(order))["capture"] for order in (old, young)} == {"unknown"}
    await rows.make_due()
    await executor.drain()

    assert (await rows.operations(old))["capture"] == "failed"
    assert (await rows.operations(young))["capture"] == "unknown"


async def test_an_old_key_is_not_sent_while_the_books_cannot_be_read(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINGER_S_MAX", 0.0)
    order = await charged(rows, executor)
    sent = len(gateway.keys[order])
    await age(rows, "capture", attempts=1, age_ms=KEY_TRUST_MS + 1000)
    gateway.look_up_error = GatewayUnavailable("closed")
    await executor.drain()
    assert (len(gateway.keys[order]), (await rows.operations(order))["capture"]) == (sent, "unknown")

    gateway.look_up_error = None
    await rows.make_due()
    await executor.drain()
    assert await rows.status(order) == "captured"


async def test_what_is_not_escalated_is_left_as_it_is(rows: Rows, executor: PaymentExecutor) -> None:
    order = await charged(rows, executor)
    name = OperationName(order, "capture")

    assert not await settle_escalated(rows.pool, name, Declined("a slip of the hand"))
    assert not await look_again(rows.pool, name), "it is due already"
    await executor.drain()
    assert not await look_again(rows.pool, name), "it has ended"
    assert await rows.status(order) == "captured"


async def pintuan(database_url: str, directory: object, *arguments: str) -> Result:
    environ = {"PINTUAN_DATA_DIR": str(directory), "PINTUAN_DATABASE_URL": database_url}
    return await anyio.to_thread.run_sync(
        lambda: CliRunner().invoke(main, ["payments", *arguments], env=environ)
    )


async def test_an_operator_lists_retries_and_resolves(
    rows: Rows, executor: PaymentExecutor, gateway: WatchedGateway, database_url: str, tmp_path: object
) -> None:
    orders = [await rows.order(group=await rows.group()) for _ in range(2)]
    await executor.drain()
    for order in orders:
        await rows.charge(order)
        await escalate(rows, executor, gateway, order, "capture")

    listed = await pintuan(database_url, tmp_path, "list")
    retried = await pintuan(database_url, tmp_path, "retry", f"{orders[0]}:capture")
    resolved = await pintuan(
        database_url, tmp_path, "resolve", f"{orders[1]}:capture", "--declined", "card closed, says the bank"
    )
    await executor.drain()

    assert re.findall(r"ord_\w+:capture", listed.output) == [f"{order}:capture" for order in orders]
    assert (retried.exit_code, resolved.exit_code) == (0, 0), retried.output + resolved.output
    assert [await rows.status(order) for order in orders] == ["captured", "payment_failed"]
    none_left = await pintuan(database_url, tmp_path, "list", "--json")
    assert none_left.output == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retry", "ord_x:capture"], "nothing to retry"),
        (["retry", "ord_x"], "ORDER:KIND"),
        (["retry", "ord_x:refund"], "ORDER:refund:NUMBER"),
        (["retry", "ord_x:capture:1"], "ORDER:KIND"),
        (["resolve", "ord_x:capture", "--declined", "no"], "is not escalated"),
        (["resolve", "ord_x:capture"], "--succeeded"),
        (["resolve", "ord_x:capture", "--declined", "no", "--succeeded", "ch_1"], "--succeeded"),
    ],
)
async def test_a_command_that_fits_nothing_says_so(
    database_url: str, tmp_path: object, arguments: list[str], message: str
) -> None:
    result = await pintuan(database_url, tmp_path, *arguments)

    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output
