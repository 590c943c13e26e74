"""Delivers what is due to endpoints.

A delivery is taken under a lease before it leaves, and its taking counts as an attempt. A worker that dies
between sending and recording repeats it once the lease is over, under the same `webhook-id`: at least once.
An endpoint that answers has a few deliveries on their way at once, one that fails has a single one, and all
that fail together have a part of the places only: so nobody's dead endpoint delays anybody else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog

from groups.setbacks import STORE_AWAY, Setbacks
from pintuan.base.events.store import waited_ms
from pintuan.base.outgoing.sending import SendFailed
from pintuan.base.outgoing.signing import seal, signed_headers, unseal
from pintuan.base.wire.times import in_utc
from pintuan.selling.sales.service import read_sold_groups
from pintuan.selling.sales.store import select_sales
from pintuan.selling.webhooks import store
from pintuan.selling.webhooks.limits import KEPT_MS
from pintuan.selling.webhooks.metrics import WEBHOOK_DELIVERIES, WEBHOOK_OVERDUE
from pintuan.selling.webhooks.schemas import Pinged, WebhookMessage

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.base.outgoing.sending import Sender
    from pintuan.selling.sales.schemas import Sale, SoldGroup
    from pintuan.selling.webhooks.store import Claimed

    Data: TypeAlias = Sale | SoldGroup | Pinged

# On their way at once from one process: to endpoints that answer, and to those that fail.
ANSWERING_MAX: Final = 96
FAILING_MAX: Final = 32
PER_ENDPOINT_MAX: Final = 4
# Longer than an attempt and its recording may take.
LEASE_MS: Final = 30_000
# The pauses after each failed attempt but the last: about three days in all, with jitter of a fifth.
RETRY_DELAYS_S: Final = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
ATTEMPTS_MAX: Final = len(RETRY_DELAYS_S) + 1
PAUSE_POLICY: Final = store.PausePolicy(failing_ms=5 * 24 * 3_600_000, failures=1_000, over_ms=24 * 3_600_000)
GONE: Final = 410
_SUCCESS: Final = range(200, 300)
# Less than the time a stopping worker has left; a call cut off is repeated when its lease is over.
CLOSE_WAIT_S: Final = 3.0

_logger = structlog.get_logger("pintuan.selling.webhooks")


class WebhookCourier:
    """Delivers a process' share of the webhooks; any number of processes may have one.

    `now_s` is the server's real time, `on_ended` is called whenever a delivery made room for another.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        keyring: Keyring,
        sender: Sender,
        *,
        share_base: str,
        now_s: Callable[[], float],
        on_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._sender = sender
        self._share_base = share_base
        self._now_s = now_s
        self._on_ended = on_ended
        self._setbacks = Setbacks(pool, "webhooks")
        self._answering: set[asyncio.Task[None]] = set()
        self._failing: set[asyncio.Task[None]] = set()

    async def start_due(self) -> int:
        """Takes what is due and there is room for, and starts delivering it; returns how much it took."""
        claimed = await store.claim(
            self._pool,
            answering=ANSWERING_MAX - len(self._answering),
            failing=FAILING_MAX - len(self._failing),
            per_endpoint=PER_ENDPOINT_MAX,
            lease_ms=LEASE_MS,
        )
        if not claimed:
            return 0
        data = await self._read(claimed)
        for one in claimed:
            tasks = self._failing if one.failing else self._answering
            task = asyncio.create_task(self._try(one, data.get(one.object_id)), name=f"webhook {one.id}")
            tasks.add(task)
            task.add_done_callback(self._ended)
        return len(claimed)

    async def finish(self) -> None:
        """Waits for all that is on its way."""
        if under_way := self._answering | self._failing:
            await asyncio.wait(under_way)

    async def close(self) -> None:
        """Lets what is on its way arrive for `CLOSE_WAIT_S`, and cuts the rest off."""
        if not (under_way := self._answering | self._failing):
            return
        _, late = await asyncio.wait(under_way, timeout=CLOSE_WAIT_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def measure(self) -> None:
        """Shows for how long what waits longest has waited, of deliveries and of events."""
        delivery_ms = await store.overdue_ms(self._pool) or 0
        event_ms = await waited_ms(self._pool, "webhooks")
        WEBHOOK_OVERDUE.set(max(delivery_ms, event_ms) / 1000)

    async def tidy(self, limit: int) -> int:
        """Forgets up to `limit` old events and secrets, and renews encryption; returns how many of all."""
        purged = await store.purge_events(self._pool, age_ms=KEPT_MS, limit=limit)
        return purged + await store.purge_secrets(self._pool, limit=limit)

    async def reseal(self, limit: int) -> int:
        """Encrypts up to `limit` secrets under the current key, so that a former one may be dropped."""
        names = await store.secrets_to_reseal(self._pool, self._keyring.kids[1:], limit=limit)
        return await Setbacks(self._pool, "secrets").each(names, self._reseal)

    async def _reseal(self, names: Sequence[str]) -> int:
        count = 0
        accepted = self._keyring.kids[1:]
        async with self._pool.acquire() as connection, connection.transaction():
            for kept in await store.lock_stale_secrets(connection, accepted, names):
                secret = unseal(self._keyring, kept.sealed)
                if secret is not None:
                    sealed = msgspec.structs.replace(kept, sealed=seal(self._keyring, secret))
                    await store.reseal_secret(connection, sealed, self._keyring.kid)
                    count += 1
        return count

    async def _read(self, claimed: Sequence[Claimed]) -> dict[str, Data]:
        """Reads the events of deliveries, by id; unreadable ones are logged and left out."""
        try:
            return await self._read_all(claimed)
        except STORE_AWAY:
            raise
        except Exception:
            # After an unforeseen error of one row, the others are still told.
            if len(claimed) == 1:
                _logger.exception("webhook not readable", id=claimed[0].id, object_id=claimed[0].object_id)
                return {}
        # A row at fault must not keep the others.
        data: dict[str, Data] = {}
        for one in claimed:
            data |= await self._read([one])
        return data

    async def _read_all(self, claimed: Sequence[Claimed]) -> dict[str, Data]:
        """Reads how everything is now: nobody is told of an address that was erased."""
        orders = [one.object_id for one in claimed if one.type.startswith("order.")]
        groups = [one.object_id for one in claimed if one.type.startswith("group.")]
        data: dict[str, Data] = {
            one.object_id: Pinged(endpoint_id=one.object_id) for one in claimed if one.type == "ping"
        }
        if orders:
            data |= await select_sales(self._pool, orders, None)
        if groups:
            data |= await read_sold_groups(self._pool, groups, share_base=self._share_base)
        return data

    async def _try(self, one: Claimed, data: Data | None) -> None:
        try:
            await self._deliver(one, data)
        except STORE_AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - it is noted; once its lease and its pause are over it is sent again.
            await self._setbacks.note({one.id: error})

    async def _deliver(self, one: Claimed, data: Data | None) -> None:
        secrets = [unseal(self._keyring, sealed) for sealed in one.sealed_secrets]
        live = [secret for secret in secrets if secret is not None]
        if data is None or not live:
            await self._fail(
                one, None, "its secret cannot be read any more" if data else "what it tells of cannot be read"
            )
            return
        if one.attempts > ATTEMPTS_MAX:
            await self._fail(one, None, "every attempt ended without an answer")
            return
        message = WebhookMessage(type=one.type, timestamp=in_utc(one.created_at), data=data)
        body = msgspec.json.encode(message)
        headers = signed_headers(live, one.event_id, body, now_s=int(self._now_s()))
        try:
            status = await self._sender.post(one.url, headers, body)
        except SendFailed as failed:
            await self._fail(one, None, failed.reason)
        else:
            await self._record_answer(one, status)

    async def _record_answer(self, one: Claimed, status: int) -> None:
        if status in _SUCCESS:
            await store.record_delivered(self._pool, one, status)
            WEBHOOK_DELIVERIES.labels("delivered").inc()
        elif status == GONE:
            await store.record_gone(self._pool, one, status, f"the endpoint answered {GONE}")
            WEBHOOK_DELIVERIES.labels("gone").inc()
            _logger.warning("webhook endpoint gone", endpoint_id=one.endpoint_id)
        else:
            await self._fail(one, status, f"the endpoint answered {status}")

    async def _fail(self, one: Claimed, status: int | None, reason: str) -> None:
        delay_ms = retry_delay_ms(one.attempts)
        endpoint_status = await store.record_failed(
            self._pool, one, status_code=status, failure=reason, delay_ms=delay_ms, policy=PAUSE_POLICY
        )
        WEBHOOK_DELIVERIES.labels("failed" if delay_ms is None else "retried").inc()
        if delay_ms is None:
            _logger.warning("webhook not delivered", id=one.id, endpoint_id=one.endpoint_id, reason=reason)
        if endpoint_status == "paused":
            _logger.warning("webhook endpoint paused", endpoint_id=one.endpoint_id, reason=reason)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        self._failing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # It may have arrived; once its lease is over it is sent again.
            _logger.error("webhook not recorded", task=task.get_name(), error=repr(error))
        self._on_ended()


def retry_delay_ms(attempts: int) -> int | None:
    """Returns the pause after so many attempts; None after the last one."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return round(RETRY_DELAYS_S[attempts - 1] * 1000 * random.uniform(0.8, 1.2))  # noqa: S311 - jitter only
