"""Webhooks arrive at least once, signed, and one merchant's dead server is nobody else's trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from standardwebhooks import WebhookVerificationError

from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.signing import new_secret
from pintuan.selling.webhooks import courier as couriers
from pintuan.selling.webhooks import service
from pintuan.selling.webhooks.courier import ATTEMPTS_MAX, FAILING_MAX, PER_ENDPOINT_MAX, RETRY_DELAYS_S
from pintuan.selling.webhooks.limits import KEPT_MS
from pintuan.selling.webhooks.metrics import WEBHOOK_OVERDUE
from pintuan.selling.webhooks.schemas import Replay, WebhookEndpointChange
from tests.integration.selling.webhooks.conftest import ACME, KEYRING, Hooks
from tests.receiver import never, receiving
from tests.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def sold(rows: Rows) -> str:
    """An order that was paid for; two events."""
    order = await rows.order()
    await rows.move(order, "authorised")
    await rows.charge(order)
    await rows.move(order, "captured")
    return order


async def test_an_event_arrives_once_signed_and_with_what_the_merchant_would_read(
    hooks: Hooks, rows: Rows
) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url, events=["order.captured", "group.opened"])
        order, group = await sold(rows), await rows.group()
        await asyncio.gather(*(hooks.deliver() for _ in range(4)))

        messages = {one.message["type"]: one.verified(endpoint.secret) for one in receiver.received}
        assert sorted(messages) == ["group.opened", "order.captured"]
        assert len(receiver.received) == 2
        with pytest.raises(WebhookVerificationError):
            receiver.received[0].verified(new_secret())
    assert set(messages["order.captured"]) == {"type", "timestamp", "data"}
    data = messages["order.captured"]["data"]
    assert (data["id"], data["status"]) == (order, "captured")
    assert data["buyer_reference"].startswith("byr_")
    assert "buyer_id" not in data
    assert messages["group.opened"]["data"]["id"] == group
    assert {(one.status, one.attempts, one.status_code) for one in await hooks.log(endpoint)} == {
        ("delivered", 1, 200)
    }


async def test_what_was_erased_is_in_no_message_of_later(hooks: Hooks, rows: Rows) -> None:
    async with receiving(status=503) as receiver:
        await hooks.endpoint(receiver.url, events=["order.captured"])
        order = await sold(rows)
        await hooks.pool.execute("UPDATE orders SET ship_to = $1", {"name": "Ann Lee"})
        await hooks.pool.execute("UPDATE payment_operations SET state = 'succeeded', ended_at = app_now()")
        await hooks.deliver()
        assert receiver.received[0].message["data"]["ship_to"] == {"name": "Ann Lee"}

        buyer = await hooks.value("SELECT buyer_id FROM orders WHERE id = $1", order)
        await hooks.pool.execute("UPDATE orders SET buyer_id = 'erased', ship_to = NULL")
        await hooks.make_due()
        await hooks.deliver()
        again = receiver.received[1].body.decode()
        assert not any(word in again for word in ("Ann", buyer))
        kept = await hooks.value(
            "SELECT string_agg(e::text || d::text, ' ') FROM webhook_events e, webhook_deliveries d"
        )
        assert not any(word in kept for word in ("Ann", buyer))


async def test_one_that_cannot_be_read_keeps_no_other(hooks: Hooks, rows: Rows) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url, events=["order.authorised"])
        broken, sound = [await rows.order() for _ in range(2)]
        for order in (broken, sound):
            await rows.move(order, "authorised")
        await hooks.pool.execute(
            "UPDATE payment_operations SET kind = 'capture', state = 'declined', ended_at = app_now()"
            " WHERE order_id = $1",
            sound,
        )
        await hooks.pool.execute("ALTER TABLE payment_operations DROP CONSTRAINT operation_state")
        await hooks.pool.execute(
            "UPDATE payment_operations SET state = 'strange' WHERE order_id = $1", broken
        )
        await hooks.deliver()
        assert [one.message["data"]["id"] for one in receiver.received] == [sound]
    errors = {entry.object_id: entry.error for entry in await hooks.log(endpoint)}
    assert errors == {broken: "what it tells of cannot be read", sound: None}


async def test_both_secrets_sign_until_the_former_one_ends(hooks: Hooks, rows: Rows) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        rotated = await service.rotate_secret(hooks.pool, KEYRING, ACME, endpoint.id)
        await rows.group()
        await hooks.deliver()
        for secret in (endpoint.secret, rotated.secret):
            receiver.received[0].verified(secret)

        await hooks.pool.execute("UPDATE webhook_secrets SET ends_at = app_now() WHERE ends_at IS NOT NULL")
        await rows.group()
        await hooks.deliver()
        receiver.received[1].verified(rotated.secret)
        with pytest.raises(WebhookVerificationError):
            receiver.received[1].verified(endpoint.secret)
        assert await hooks.courier().tidy(10) == 1


async def test_a_failed_attempt_is_repeated_later_with_the_same_id(hooks: Hooks, rows: Rows) -> None:
    async with receiving(status=500) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        for attempts in (1, 2):
            await hooks.deliver()
            (entry,) = await hooks.log(endpoint)
            assert (entry.status, entry.attempts, entry.status_code) == ("pending", attempts, 500)
            assert entry.error == "the endpoint answered 500"
            assert len(receiver.received) == attempts
            await hooks.make_due()
        assert (await service.get_endpoint(hooks.pool, ACME, endpoint.id)).failing_since is not None
        receiver.status = 204
        await hooks.deliver()
        assert len({one.id for one in receiver.received}) == 1
        for one in receiver.received:
            one.verified(endpoint.secret)
    (entry,) = await hooks.log(endpoint)
    assert (entry.status, entry.attempts, entry.error, entry.next_attempt_at) == ("delivered", 3, None, None)
    assert (await service.get_endpoint(hooks.pool, ACME, endpoint.id)).failing_since is None


async def test_attempts_follow_the_table_for_about_three_days_and_end(hooks: Hooks, rows: Rows) -> None:
    assert 2.5 * 86_400 < sum(RETRY_DELAYS_S) < 3.5 * 86_400
    async with receiving(status=500) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        for delay_s in RETRY_DELAYS_S:
            await hooks.deliver()
            waits_s = await hooks.value(
                "SELECT extract(epoch FROM due_at - app_now())::float8 FROM webhook_deliveries"
            )
            assert 0.7 * delay_s < waits_s < 1.25 * delay_s
            await hooks.make_due()
        await hooks.deliver()
        await hooks.make_due()
        await hooks.deliver()
        assert len(receiver.received) == ATTEMPTS_MAX
    (entry,) = await hooks.log(endpoint)
    assert (entry.status, entry.attempts) == ("failed", ATTEMPTS_MAX)


async def test_an_endpoint_that_says_it_is_gone_is_disabled(hooks: Hooks, rows: Rows) -> None:
    async with receiving(status=410) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        await hooks.deliver()
        await hooks.make_due()
        await rows.group()
        await hooks.deliver()
        assert len(receiver.received) == 1
    shown = await service.get_endpoint(hooks.pool, ACME, endpoint.id)
    assert (shown.status, shown.notice) == ("disabled", "the endpoint answered 410")
    (entry,) = await hooks.log(endpoint)
    assert (entry.status, entry.status_code) == ("failed", 410)


@pytest.mark.parametrize(
    ("since", "failures", "pauses"),
    [("5 days", 3, True), ("4 days", 900, False), ("25 hours", 999, True), ("23 hours", 5000, False)],
)
async def test_an_endpoint_that_fails_for_long_is_paused_until_its_merchant_enables_it(
    hooks: Hooks, rows: Rows, since: str, failures: int, pauses: bool
) -> None:
    async with receiving(status=503) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        await hooks.pool.execute(
            "UPDATE webhook_endpoints SET failing_since = app_now() - $1::text::interval, failures = $2",
            since,
            failures,
        )
        await hooks.deliver()
        shown = await service.get_endpoint(hooks.pool, ACME, endpoint.id)
        assert (shown.status == "paused", shown.paused_at is not None) == (pauses, pauses)
        if not pauses:
            return
        assert "answered 503" in (shown.notice or "")
        await hooks.make_due()
        await hooks.deliver()
        assert len(receiver.received) == 1

        receiver.status = 200
        change = WebhookEndpointChange(enabled=True)
        shown = await service.change_endpoint(hooks.pool, ACME, endpoint.id, change)
        assert (shown.status, shown.notice, shown.paused_at) == ("enabled", None, None)
        await hooks.deliver()
        assert len(receiver.received) == 2


async def test_dead_and_hanging_endpoints_delay_nobody_else(hooks: Hooks, rows: Rows) -> None:
    async with receiving(answering=never) as dead, receiving() as alive:
        for number in range(8):
            await hooks.endpoint(f"{dead.url}&n={number}")
        await hooks.endpoint(alive.url)
        groups = [await rows.group() for _ in range(30)]
        courier = hooks.courier()
        await hooks.hear()
        # Each round takes what there is room for, while the dead ones hold what they got.
        for _ in range(20):
            await courier.start_due()
            await until(lambda: _is_idle(hooks, alive.url))
        assert {one.message["data"]["id"] for one in alive.received} == set(groups)
        assert len(dead.received) == 8 * PER_ENDPOINT_MAX


async def test_the_first_of_every_endpoint_goes_before_the_second_of_any(
    hooks: Hooks, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "ANSWERING_MAX", PER_ENDPOINT_MAX)
    async with receiving(answering=never) as busy, receiving() as quiet:
        await hooks.endpoint(busy.url)
        courier = hooks.courier()
        for _ in range(3 * PER_ENDPOINT_MAX):
            await rows.group()
        await hooks.hear()
        await hooks.endpoint(quiet.url)
        await rows.group()
        await hooks.hear()
        assert await courier.start_due() == PER_ENDPOINT_MAX
        await until(lambda: _is_idle(hooks, quiet.url))
        assert len(quiet.received) == 1


async def test_an_endpoint_that_failed_last_is_tried_with_one_delivery_at_a_time(
    hooks: Hooks, rows: Rows
) -> None:
    async with receiving(answering=never) as dead:
        await hooks.endpoint(dead.url)
        await hooks.pool.execute("UPDATE webhook_endpoints SET failing_since = app_now(), failures = 1")
        for _ in range(3):
            await rows.group()
        courier = hooks.courier()
        await hooks.hear()
        assert [await courier.start_due() for _ in range(2)] == [1, 0]


async def test_endpoints_known_to_fail_get_a_part_of_the_room(hooks: Hooks, rows: Rows) -> None:
    async with receiving(answering=never) as dead:
        await hooks.pool.execute(
            "INSERT INTO webhook_endpoints (id, merchant_id, url, failing_since, failures)"
            " SELECT 'whe_' || n, 'acme', $1, app_now(), 1 FROM generate_series(1, $2) AS n",
            dead.url,
            FAILING_MAX + 5,
        )
        await rows.group()
        await rows.group()
        # They have no secrets; the row must only be taken.
        await hooks.pool.execute(
            "INSERT INTO webhook_secrets SELECT id, 1, $1, 'kid' FROM webhook_endpoints", sealed()
        )
        courier = hooks.courier()
        await hooks.hear()
        assert await courier.start_due() == FAILING_MAX
        assert await courier.start_due() == 0
        taken = await hooks.pool.fetch("SELECT endpoint_id FROM webhook_deliveries WHERE state = 'in_flight'")
        assert len({row["endpoint_id"] for row in taken}) == FAILING_MAX


def sealed() -> bytes:
    return KEYRING.fernet("webhook").encrypt(new_secret().encode())


async def test_a_delivery_on_its_way_is_nobody_elses_until_its_worker_must_be_dead(
    hooks: Hooks, rows: Rows
) -> None:
    async with receiving(answering=never) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        dying = hooks.courier()
        await hooks.hear()
        await dying.start_due()
        await receiver.reached.wait()
        assert await hooks.courier().start_due() == 0
        for task in dying._answering:
            task.cancel()
        receiver.answering = None

        assert await hooks.courier().start_due() == 0
        await hooks.make_due()
        await hooks.deliver()
        assert [one.id for one in receiver.received] == [receiver.received[0].id] * 2
    (entry,) = await hooks.log(endpoint)
    assert (entry.status, entry.attempts) == ("delivered", 2)


async def test_a_late_record_of_a_lost_attempt_changes_nothing(hooks: Hooks, rows: Rows) -> None:
    released = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.write(b"HTTP/1.1 500 Late\r\ncontent-length: 0\r\n\r\n")

    async with receiving(answering=late) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        slow = hooks.courier()
        await hooks.hear()
        await slow.start_due()
        await receiver.reached.wait()
        receiver.answering = None
        await hooks.make_due()
        await hooks.deliver()
        released.set()
        await slow.finish()
    (entry,) = await hooks.log(endpoint)
    assert (entry.status, entry.attempts, entry.status_code) == ("delivered", 2, 200)
    assert (await service.get_endpoint(hooks.pool, ACME, endpoint.id)).failing_since is None


async def test_a_replay_sends_the_same_event_again_even_after_the_last_attempt(
    hooks: Hooks, rows: Rows
) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        await hooks.deliver()
        (entry,) = await hooks.log(endpoint)
        again = await service.replay_delivery(hooks.pool, ACME, endpoint.id, entry.id)
        assert (again.status, again.attempts, again.event_id) == ("pending", 0, entry.event_id)
        await hooks.deliver()
        assert [one.id for one in receiver.received] == [entry.event_id] * 2


async def test_events_of_a_time_are_replayed_in_bounded_parts(
    hooks: Hooks, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REPLAYED_PER_CALL_MAX", 2)
    async with receiving() as receiver:
        first = await hooks.endpoint("https://hooks.example/", events=["group.opened"])
        groups = [await rows.group() for _ in range(5)]
        await rows.move(await rows.order(), "authorised")
        later = await hooks.endpoint(receiver.url, events=["group.opened"])
        await hooks.hear()
        since = await hooks.value("SELECT min(created_at) FROM webhook_events")
        replayed, place = 0, since
        for _ in range(5):
            part = await service.replay_events(hooks.pool, ACME, later.id, Replay(created_from=place))
            replayed += part.replayed
            if part.continue_from is None:
                break
            place = part.continue_from
        assert (replayed, part.continue_from) == (5, None)
        await hooks.deliver()
        assert {one.message["data"]["id"] for one in receiver.received} == set(groups)
        assert len(receiver.received) == 5
        none = Replay(created_from=since, created_to=since)
        assert (await service.replay_events(hooks.pool, ACME, first.id, none)).replayed == 0


async def test_asking_for_a_time_again_at_once_sends_nothing_again(hooks: Hooks, rows: Rows) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url, events=["group.opened"])
        for _ in range(3):
            await rows.group()
        await hooks.deliver()
        since = Replay(created_from=await hooks.value("SELECT min(created_at) FROM webhook_events"))
        counts = [
            (await service.replay_events(hooks.pool, ACME, endpoint.id, since)).replayed for _ in range(3)
        ]
        await hooks.deliver()
        counts.append((await service.replay_events(hooks.pool, ACME, endpoint.id, since)).replayed)
        await hooks.deliver()
        assert (counts, len(receiver.received)) == ([3, 0, 0, 0], 6)
        await hooks.value(
            "UPDATE webhook_deliveries SET replayed_at = replayed_at - interval '1 minute' RETURNING 1"
        )
        assert (await service.replay_events(hooks.pool, ACME, endpoint.id, since)).replayed == 3
        await hooks.deliver()
        assert len(receiver.received) == 9


async def test_a_deleted_endpoint_is_sent_nothing(hooks: Hooks, rows: Rows) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        await hooks.hear()
        await service.delete_endpoint(hooks.pool, ACME, endpoint.id)
        await hooks.deliver()
        assert receiver.received == []
    assert await hooks.value("SELECT count(*) FROM webhook_secrets") == 0


async def test_old_events_go_with_their_deliveries_a_batch_at_a_time(hooks: Hooks, rows: Rows) -> None:
    endpoint = await hooks.endpoint("https://hooks.example/")
    for _ in range(3):
        await rows.group()
    await hooks.hear()
    await hooks.pool.execute(
        "UPDATE webhook_events SET created_at = created_at - $1 * interval '1 millisecond'", KEPT_MS + 1
    )
    await rows.group()
    courier = hooks.courier()
    assert [await courier.tidy(2) for _ in range(3)] == [2, 1, 0]
    await hooks.hear()
    assert len(await hooks.log(endpoint)) == 1


async def test_secrets_follow_the_deployments_key_so_that_the_former_one_may_be_dropped(
    hooks: Hooks, rows: Rows
) -> None:
    former = "a key that seals secrets in tests and nowhere else"
    current = "the key that the operator changed to afterwards"
    async with receiving() as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        courier = hooks.courier(Keyring(current, [former]))
        assert [await courier.reseal(10) for _ in range(2)] == [1, 0]
        await rows.group()
        await hooks.deliver(hooks.courier(Keyring(former)))
        (entry,) = await hooks.log(endpoint)
        assert entry.error == "its secret cannot be read any more"
        await hooks.make_due()
        await hooks.deliver(hooks.courier(Keyring(current)))
        receiver.received[0].verified(endpoint.secret)


async def test_what_waits_longest_is_measured_but_not_for_endpoints_that_fail(
    hooks: Hooks, rows: Rows
) -> None:
    courier = hooks.courier()
    await courier.measure()
    assert WEBHOOK_OVERDUE._value.get() == 0
    await hooks.endpoint("https://hooks.example/")
    await rows.group()
    await hooks.pool.execute("UPDATE events SET happened_at = happened_at - interval '1 minute'")
    await courier.measure()
    assert 59 < WEBHOOK_OVERDUE._value.get() < 90
    await hooks.pool.execute("UPDATE webhook_endpoints SET created_at = created_at - interval '1 hour'")
    await hooks.hear()
    await hooks.pool.execute("UPDATE webhook_deliveries SET due_at = app_now() - interval '2 minutes'")
    await courier.measure()
    assert 119 < WEBHOOK_OVERDUE._value.get() < 150
    await hooks.pool.execute("UPDATE webhook_endpoints SET failing_since = app_now(), failures = 1")
    await courier.measure()
    assert WEBHOOK_OVERDUE._value.get() == 0


@pytest.mark.slow
async def test_a_worker_killed_between_sending_and_recording_sends_again_under_the_same_id(
    hooks: Hooks, rows: Rows, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environ = {
        **os.environ,
        "PINTUAN_DATABASE_URL": database_url,
        "PINTUAN_REDIS_URL": redis_url,
        "PINTUAN_DATA_DIR": str(tmp_path),
        "PINTUAN_SECRET_KEY": "a key that seals secrets in tests and nowhere else",
    }
    async with receiving(answering=never) as receiver:
        endpoint = await hooks.endpoint(receiver.url)
        await rows.group()
        victim = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)
        await asyncio.wait_for(receiver.reached.wait(), 30)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        receiver.answering = None
        await hooks.make_due()
        successor = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environ)

        async def is_delivered() -> bool:
            return (await hooks.log(endpoint))[0].status == "delivered"

        await until(is_delivered)
        successor.terminate()
        assert await successor.wait() == 0
        first, second = receiver.received
        assert first.id == second.id
        second.verified(endpoint.secret)


async def _is_idle(hooks: Hooks, url: str) -> bool:
    """Whether nothing is on its way to the endpoint."""
    return not await hooks.value(
        "SELECT count(*) FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id"
        " WHERE e.url = $1 AND d.state = 'in_flight'",
        url,
    )
