"""Webhooks in Postgres, one typed function per statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from groups.setbacks import Broom
from pintuan.selling.webhooks.schemas import (
    EndpointStatus,
    EventType,
    Replay,
    Replayed,
    SentType,
    WebhookDelivery,
    WebhookEndpoint,
)
from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pintuan.base.events.event import Event
    from pintuan.base.wire.cursors import Cursor
    from sql import Connection


WEBHOOKS: Final = load_queries(__package__)


class LockedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that is being changed."""

    id: str
    url: str
    description: str
    events: list[EventType] | None
    status: EndpointStatus


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that somebody has under a lease, with what an attempt needs."""

    id: str
    endpoint_id: str
    event_id: str
    attempts: int
    type: SentType
    object_id: str
    created_at: datetime
    url: str
    failing: bool
    sealed_secrets: list[bytes]


class PausePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When an endpoint is paused: failing for `failing_ms`, or `failures` times in a row over `over_ms`."""

    failing_ms: int
    failures: int
    over_ms: int


class SealedSecret(msgspec.Struct, frozen=True):
    """A secret as it is kept."""

    endpoint_id: str
    secret_no: int
    sealed: bytes


async def count_endpoints(connection: Connection, merchant_id: str) -> int:
    """Returns how many endpoints a locked merchant has."""
    count: int = await connection.fetchval(WEBHOOKS["count_endpoints"], merchant_id)
    return count


async def insert_endpoint(
    connection: Connection, endpoint: LockedEndpoint, *, merchant_id: str, sealed: bytes, kid: str
) -> None:
    """Adds an endpoint with its first secret."""
    await connection.execute(
        WEBHOOKS["insert_endpoint"],
        endpoint.id,
        merchant_id,
        endpoint.url,
        endpoint.description,
        endpoint.events,
        sealed,
        kid,
    )


async def list_endpoints(
    pool: asyncpg.Pool, merchant_id: str, *, after: Cursor | None, limit: int
) -> list[WebhookEndpoint]:
    """Returns up to `limit` endpoints of the merchant, newest first, from just behind `after`."""
    created_at, endpoint_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(WEBHOOKS["list_endpoints"], merchant_id, created_at, endpoint_id, limit)
    return [msgspec.convert(dict(row), WebhookEndpoint) for row in rows]


async def select_endpoint(
    connection: asyncpg.Pool | Connection, endpoint_id: str, merchant_id: str
) -> WebhookEndpoint | None:
    """Returns the merchant's endpoint, or None."""
    row = await connection.fetchrow(WEBHOOKS["select_endpoint"], endpoint_id, merchant_id)
    return None if row is None else msgspec.convert(dict(row), WebhookEndpoint)


async def lock_endpoint(connection: Connection, endpoint_id: str, merchant_id: str) -> LockedEndpoint | None:
    """Locks the merchant's endpoint; None when there is none."""
    row = await connection.fetchrow(WEBHOOKS["lock_endpoint"], endpoint_id, merchant_id)
    return None if row is None else LockedEndpoint(**row)


async def change_endpoint(connection: Connection, endpoint: LockedEndpoint) -> None:
    """Writes a locked endpoint as it is to be."""
    await connection.execute(
        WEBHOOKS["change_endpoint"],
        endpoint.id,
        endpoint.url,
        endpoint.description,
        endpoint.events,
        endpoint.status,
    )


async def delete_endpoint(connection: Connection, endpoint_id: str, merchant_id: str) -> str | None:
    """Removes the merchant's endpoint and returns its URL; None where there was none."""
    url: str | None = await connection.fetchval(WEBHOOKS["delete_endpoint"], endpoint_id, merchant_id)
    return url


async def disable_endpoints(connection: Connection, merchant_id: str, notice: str) -> list[str]:
    """Disables the merchant's endpoints for a reason that is shown there; returns those that were not."""
    rows = await connection.fetch(WEBHOOKS["disable_endpoints"], merchant_id, notice)
    return [row["id"] for row in rows]


async def delete_endpoints(connection: Connection, merchant_id: str) -> None:
    """Removes all of the merchant's endpoints."""
    await connection.execute(WEBHOOKS["delete_endpoints"], merchant_id)


async def count_live_secrets(connection: Connection, endpoint_id: str) -> int:
    """Returns how many secrets a locked endpoint signs with."""
    count: int = await connection.fetchval(WEBHOOKS["count_live_secrets"], endpoint_id)
    return count


async def replace_secret(
    connection: Connection, endpoint_id: str, sealed: bytes, kid: str, *, former_ms: int
) -> datetime:
    """Gives a locked endpoint a new secret; returns when the former one ends."""
    (former,) = await connection.fetch(WEBHOOKS["end_secret"], endpoint_id, former_ms)
    await connection.execute(WEBHOOKS["insert_secret"], endpoint_id, former["secret_no"] + 1, sealed, kid)
    ends_at: datetime = former["ends_at"]
    return ends_at


async def secrets_to_reseal(pool: asyncpg.Pool, kids: Sequence[str], *, limit: int) -> list[str]:
    """Returns what names up to `limit` live secrets that are encrypted under one of these keys."""
    return [row["id"] for row in await pool.fetch(WEBHOOKS["secrets_to_reseal"], kids, limit)]


async def lock_stale_secrets(
    connection: Connection, kids: Sequence[str], names: Sequence[str]
) -> list[SealedSecret]:
    """Locks those secrets that live and are encrypted under one of these keys."""
    rows = await connection.fetch(WEBHOOKS["stale_secrets"], kids, names)
    return [SealedSecret(**row) for row in rows]


async def reseal_secret(connection: Connection, secret: SealedSecret, kid: str) -> None:
    """Keeps a locked secret as it is encrypted now."""
    await connection.execute(
        WEBHOOKS["reseal_secret"], secret.endpoint_id, secret.secret_no, secret.sealed, kid
    )


async def purge_secrets(pool: asyncpg.Pool, *, limit: int) -> int:
    """Forgets up to `limit` secrets that have ended; returns how many."""
    broom = Broom(pool, "ended secrets", due=WEBHOOKS["secrets_to_purge"], drop=WEBHOOKS["purge_secrets"])
    return await broom.sweep(limit)


async def insert_ping(connection: Connection, endpoint_id: str, merchant_id: str) -> str:
    """Writes a test event for one endpoint; returns the id of its delivery."""
    delivery_id: str = await connection.fetchval(WEBHOOKS["insert_ping"], endpoint_id, merchant_id)
    return delivery_id


async def list_deliveries(
    pool: asyncpg.Pool, endpoint_id: str, *, after: Cursor | None, limit: int
) -> list[WebhookDelivery]:
    """Returns up to `limit` deliveries of the endpoint, newest first, from just behind `after`."""
    created_at, delivery_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(WEBHOOKS["list_deliveries"], endpoint_id, created_at, delivery_id, limit)
    return [_delivery_of(row) for row in rows]


async def select_delivery(
    connection: asyncpg.Pool | Connection, delivery_id: str, endpoint_id: str
) -> WebhookDelivery | None:
    """Returns the endpoint's delivery, or None."""
    row = await connection.fetchrow(WEBHOOKS["select_delivery"], delivery_id, endpoint_id)
    return None if row is None else _delivery_of(row)


async def replay_delivery(connection: Connection, delivery_id: str, endpoint_id: str) -> None:
    """Makes the endpoint's delivery due anew, unless it is on its way."""
    await connection.execute(WEBHOOKS["replay_delivery"], delivery_id, endpoint_id)


async def replay_events(
    connection: Connection, endpoint_id: str, merchant_id: str, wanted: Replay, *, limit: int, apart_ms: int
) -> Replayed:
    """Makes the merchant's events of a time due anew, the `limit` oldest and those of the same time.

    Deliveries repeated within `apart_ms` are left as they are.
    """
    (row,) = await connection.fetch(
        WEBHOOKS["replay_events"],
        endpoint_id,
        merchant_id,
        wanted.created_from,
        wanted.created_to,
        limit,
        apart_ms,
    )
    return Replayed(replayed=row["replayed"], continue_from=row["continue_from"])


async def keep_events(connection: Connection, events: Sequence[Event]) -> None:
    """Keeps those of the events that an endpoint wants, with a delivery for each such endpoint."""
    await connection.execute(
        WEBHOOKS["keep_events"],
        [event.type for event in events],
        [event.object_id for event in events],
        [event.deal_id for event in events],
        [event.happened_at for event in events],
    )


async def claim(
    pool: asyncpg.Pool, *, answering: int, failing: int, per_endpoint: int, lease_ms: int
) -> list[Claimed]:
    """Takes due deliveries: up to `answering` and `failing` to endpoints that answer and that fail."""
    rows = await pool.fetch(WEBHOOKS["claim_deliveries"], answering, failing, per_endpoint, lease_ms)
    return [Claimed(**row) for row in rows]


async def record_delivered(pool: asyncpg.Pool, claimed: Claimed, status_code: int) -> None:
    """Ends a delivery that was taken by its endpoint."""
    await pool.execute(WEBHOOKS["record_delivered"], claimed.id, claimed.attempts, status_code)


async def record_failed(
    pool: asyncpg.Pool,
    claimed: Claimed,
    *,
    status_code: int | None,
    failure: str,
    delay_ms: int | None,
    policy: PausePolicy,
) -> EndpointStatus | None:
    """Records a failed attempt, the last one where `delay_ms` is None; returns the endpoint's status now.

    None means that the delivery was taken again since, or that its endpoint was deleted.
    """
    row = await pool.fetchrow(
        WEBHOOKS["record_failed"],
        claimed.id,
        claimed.attempts,
        status_code,
        failure,
        delay_ms,
        policy.failing_ms,
        policy.failures,
        policy.over_ms,
    )
    return None if row is None else row["status"]


async def record_gone(pool: asyncpg.Pool, claimed: Claimed, status_code: int, failure: str) -> None:
    """Ends a delivery and disables the endpoint that is gone."""
    await pool.execute(WEBHOOKS["record_gone"], claimed.id, claimed.attempts, status_code, failure)


async def overdue_ms(pool: asyncpg.Pool) -> int | None:
    """Returns for how long what waits longest has waited; None when nothing waits."""
    waited_ms: int | None = await pool.fetchval(WEBHOOKS["overdue_ms"])
    return waited_ms


async def purge_events(pool: asyncpg.Pool, *, age_ms: int, limit: int) -> int:
    """Forgets up to `limit` events older than `age_ms` with their deliveries; returns how many."""
    broom = Broom(
        pool,
        "webhook events",
        due=WEBHOOKS["events_to_purge"],
        drop=WEBHOOKS["purge_events"],
        arguments=[age_ms],
    )
    return await broom.sweep(limit)


def _delivery_of(row: asyncpg.Record) -> WebhookDelivery:
    pending = row["ended_at"] is None
    return WebhookDelivery(
        id=row["id"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        object_id=row["object_id"],
        status="pending" if pending else row["state"],
        attempts=row["attempts"],
        status_code=row["status_code"],
        error=row["failure"],
        next_attempt_at=row["due_at"] if pending else None,
        last_attempt_at=row["attempted_at"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
