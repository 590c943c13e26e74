"""What can go wrong with a marketplace, how it is caused, and which alerts must tell of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from groups.keys import history_key
from tests.operations.causing import Stage
from tests.receiver import HOST

Cause = Callable[[Stage], AbstractAsyncContextManager[None]]
DEALS = 2
LANES = 16
CROWD = 70
EVENTS = 60
ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble that lasts for the life of a block, and the alerts that fire meanwhile."""

    cause: Cause
    alerts: tuple[str, ...]

    def __str__(self) -> str:
        return self.cause.__name__


@asynccontextmanager
async def workers_stand_still(stage: Stage) -> AsyncIterator[None]:
    """Nobody pays and nobody looks; what is due is moved into the past, as time would."""
    group = (await stage.join(verb="groups")).json()["group_id"]
    await stage.until_paid()
    processes = stage.workers.processes("worker")
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        untried, tried = await stage.orders(2)
        await stage.pool.execute(
            "UPDATE payment_operations SET created_at = created_at - interval '10 minutes',"
            " due_at = due_at - interval '10 minutes' WHERE order_id = $1",
            untried,
        )
        await stage.pool.execute(
            "UPDATE payment_operations SET attempts = 1, state = 'unknown', first_tried_at = app_now()"
            " - interval '10 minutes', due_at = app_now() + interval '10 minutes' WHERE order_id = $1",
            tried,
        )
        await stage.pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day', deadline = app_now() - interval"
            " '1 minute' WHERE id = $1",
            group,
        )
        await stage.pool.execute(
            "UPDATE group_progress SET check_at = app_now() - interval '1 minute' WHERE group_id = $1", group
        )
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def workers_come_back_late(stage: Stage) -> AsyncIterator[None]:
    """Groups settle long after they should, and doorbells have waited for seconds."""
    async with stage.going_on(lambda: _stutter(stage), every_s=0.2):
        yield


async def _stutter(stage: Stage) -> None:
    processes = stage.workers.processes("worker")
    group = (await stage.join(verb="groups")).json()["group_id"]
    await stage.until_paid()
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        await stage.pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day', deadline = app_now() - interval"
            " '1 minute' WHERE id = $1",
            group,
        )
        await stage.pool.execute(
            "UPDATE group_progress SET check_at = app_now() - interval '1 minute' WHERE group_id = $1", group
        )
        await stage.orders(3)
        await asyncio.sleep(2.5)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def the_queue_is_gone(stage: Stage) -> AsyncIterator[None]:
    """Buyers go on joining, and nobody can be rung for."""
    await stage.queue.kill()
    try:
        async with stage.going_on(stage.join):
            yield
    finally:
        await stage.queue.start()
        await stage.queue.wait_ready()


@asynccontextmanager
async def the_placing_redis_is_gone(stage: Stage) -> AsyncIterator[None]:
    """Nobody can join."""
    await stage.placing.kill()
    try:
        async with stage.going_on(stage.join):
            yield
    finally:
        await stage.placing.start()
        await stage.placing.wait_ready()


@asynccontextmanager
async def redis_forgets_again_and_again(stage: Stage) -> AsyncIterator[None]:
    """Each join meets a lane that must be made anew."""
    deals = [await stage.new_deal(lanes=LANES) for _ in range(DEALS)]
    async with Redis.from_url(stage.placing.url) as redis:

        async def forget() -> None:
            await redis.flushall()
            await asyncio.gather(*(stage.join(deal) for deal in deals for _ in range(2 * LANES)))

        async with stage.going_on(forget):
            yield


@asynccontextmanager
async def another_marketplace_tells_the_redis(stage: Stage) -> AsyncIterator[None]:
    """Its workers look every few seconds, as ours do."""
    async with Redis.from_url(stage.placing.url) as redis:

        async def tell() -> None:
            seconds, _ = await redis.time()
            told = f"{'0' * 32} 1 {seconds * 1_000} another shop"
            await redis.hset(history_key(""), "teller another:1", told)

        async with stage.going_on(tell):
            yield


@asynccontextmanager
async def the_gateway_does_not_answer(stage: Stage) -> AsyncIterator[None]:
    """A dozen calls are under way, and then it is left alone; one of them had its last attempt."""
    await stage.until_paid()
    async with stage.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE sandbox_gateway.authorisations, sandbox_gateway.calls")
        order, *_ = await stage.orders(12)
        await stage.until_true(
            "SELECT count(*) >= 12 FROM payment_operations WHERE state = 'unknown' AND ended_at IS NULL"
        )
        await stage.pool.execute(
            "UPDATE payment_operations SET attempts = 19, due_at = app_now() - interval '1 hour'"
            " WHERE order_id = $1",
            order,
        )
        yield


@asynccontextmanager
async def a_job_and_a_route_are_broken(stage: Stage) -> AsyncIterator[None]:
    """Both meet what they cannot handle in Postgres, and a row is noted that always fails."""
    await stage.pool.execute("ALTER TABLE nudges RENAME TO gone_nudges")
    await stage.pool.execute(
        "CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;"
        " CREATE TRIGGER broken BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION break_it()"
    )
    await stage.pool.execute(
        "INSERT INTO setbacks (sweep, row_id, attempts, failure, look_at)"
        " VALUES ('lifecycle', 'grp_x', 3, 'broken', app_now() + interval '1 hour')"
    )
    try:
        async with stage.going_on(stage.new_deal):
            yield
    finally:
        await stage.pool.execute("ALTER TABLE gone_nudges RENAME TO nudges")
        await stage.pool.execute("DROP FUNCTION break_it CASCADE")
        await stage.pool.execute("DELETE FROM setbacks")


@asynccontextmanager
async def joins_wait_for_a_lock_and_are_never_recorded(stage: Stage) -> AsyncIterator[None]:
    """Seats are placed in Redis, and Postgres does not take them; after ten seconds they are freed."""
    deal = await stage.new_deal()
    await stage.join(deal)
    async with stage.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE orders")
            await asyncio.gather(*(stage.join(deal) for _ in range(CROWD)))
        yield


@asynccontextmanager
async def messages_are_turned_away(stage: Stage) -> AsyncIterator[None]:
    """The provider takes none: somebody's codes fail for good."""
    for number in range(3):
        answer = await stage.client.post("/v1/auth/otp", json={"phone": f"+4915112345{number:02d}"})
        assert answer.is_success, answer.text
    yield


@asynccontextmanager
async def somebody_guesses_codes(stage: Stage) -> AsyncIterator[None]:
    """Answer after answer is wrong, whether a code was asked for or not."""

    async def guess() -> None:
        body = {"grant_type": "otp", "email": "ann@example.com", "code": "000000"}
        await stage.client.post("/v1/auth/token", json=body)

    async with stage.going_on(guess):
        yield


@asynccontextmanager
async def a_merchants_system_holds_up_its_webhooks(stage: Stage) -> AsyncIterator[None]:
    """Its four places are taken by calls that are answered late, and what waits behind them grows old."""

    async def answer_late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ANSWER_S)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer_late, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    answer = await stage.client.post(
        "/v1/webhook-endpoints",
        json={"url": f"http://{HOST}:{port}/hook", "events": ["group.opened"]},
        headers={"Authorization": f"Bearer {stage.merchant}"},
    )
    assert answer.is_success, answer.text
    await stage.orders(EVENTS, verb="groups")
    try:
        async with stage.going_on(
            lambda: stage.pool.execute(
                "UPDATE webhook_deliveries SET due_at = app_now() - interval '10 minutes' WHERE state = 'due'"
            )
        ):
            yield
    finally:
        server.close()
        await stage.pool.execute("DELETE FROM webhook_deliveries")


@asynccontextmanager
async def a_noun_of_a_later_version_hears_nothing(stage: Stage) -> AsyncIterator[None]:
    """A release was taken back, and its database goes on telling a noun that no process knows."""
    await stage.pool.execute("INSERT INTO listeners (type, noun) VALUES ('group.opened', 'later')")
    await stage.pool.execute(
        "INSERT INTO events (noun, type, object_id, deal_id, happened_at)"
        " VALUES ('later', 'group.opened', 'grp_1', 'deal_1', app_now() - interval '10 minutes')"
    )
    try:
        yield
    finally:
        await stage.pool.execute("DELETE FROM listeners WHERE noun = 'later'")
        await stage.pool.execute("DELETE FROM events WHERE noun = 'later'")


@asynccontextmanager
async def both_nodes_are_gone(stage: Stage) -> AsyncIterator[None]:
    """Nobody answers; comes last, because nobody starts them again."""
    await stage.workers.terminate()
    await stage.api.terminate()
    yield


TROUBLES = (
    Trouble(
        workers_stand_still,
        (
            "PintuanWorkersIdle",
            "PintuanOrdersUntried",
            "PintuanGroupsOverdue",
            "PintuanHoldsOver",
            "PintuanPaymentsOverdue",
        ),
    ),
    Trouble(workers_come_back_late, ("PintuanSettlementLate", "PintuanQueueSlow")),
    Trouble(the_queue_is_gone, ("PintuanDoorbellsFailing",)),
    Trouble(the_placing_redis_is_gone, ("PintuanStoreAway", "PintuanJoinsRefused", "PintuanOverloaded")),
    Trouble(redis_forgets_again_and_again, ("PintuanLanesRebuilt",)),
    Trouble(another_marketplace_tells_the_redis, ("PintuanRedisShared",)),
    Trouble(
        the_gateway_does_not_answer,
        ("PintuanGatewayAway", "PintuanPaymentsUnknown", "PintuanPaymentEscalated"),
    ),
    Trouble(a_job_and_a_route_are_broken, ("PintuanJobsFailing", "PintuanFaults", "PintuanRowsFailing")),
    Trouble(joins_wait_for_a_lock_and_are_never_recorded, ("PintuanJoinsSlow", "PintuanSeatsOrphaned")),
    Trouble(messages_are_turned_away, ("PintuanNotificationsFailing",)),
    Trouble(somebody_guesses_codes, ("PintuanCodesGuessed",)),
    Trouble(a_merchants_system_holds_up_its_webhooks, ("PintuanWebhooksLate",)),
    Trouble(a_noun_of_a_later_version_hears_nothing, ("PintuanEventsUnheard",)),
    Trouble(both_nodes_are_gone, ("PintuanApiDown", "PintuanWorkersDown", "PintuanInstanceDown")),
)
NOT_CAUSED = {
    "PintuanEventStreamsDropped": "readers fall behind after megabytes that a kernel keeps for each of them",
}
