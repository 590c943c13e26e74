"""Merchants' calls about webhook endpoints, and the log they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from groups.ids import new_id
from pintuan.base import limits as windows
from pintuan.base.errors import InvalidInput, LimitReached, NotFound
from pintuan.base.outgoing.addresses import (
    DestinationRefused,
    Resolver,
    UnknownHost,
    addresses_of,
    destination_of,
)
from pintuan.base.outgoing.signing import new_secret, seal
from pintuan.base.wire.times import has_utc
from pintuan.people.activity.changes import changed, host_of, made, removed
from pintuan.people.activity.log import note
from pintuan.people.merchants.service import lock_merchant, require_seller
from pintuan.selling.webhooks import store
from pintuan.selling.webhooks.limits import (
    ENDPOINTS_PER_MERCHANT_MAX,
    FORMER_SECRET_MS,
    LIVE_SECRETS_MAX,
    REPLAYED_PER_CALL_MAX,
    REPLAYS_APART_MS,
)
from pintuan.selling.webhooks.rates import (
    CHANGES_PER_MERCHANT,
    PINGS_PER_MERCHANT,
    REPLAYS_PER_ENDPOINT,
    REPLAYS_PER_MERCHANT,
    SINGLE_REPLAYS_PER_MERCHANT,
    limit_key_of,
)
from pintuan.selling.webhooks.schemas import (
    EventType,
    MadeWebhookEndpoint,
    NewWebhookEndpoint,
    Replay,
    Replayed,
    RotatedSecret,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointChange,
)
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.base.wire.cursors import Cursor
    from pintuan.people.activity.changes import Changes
    from sql import Connection


async def count_change(pool: asyncpg.Pool, merchant_id: str) -> None:
    """Counts that a merchant makes or changes an endpoint; raises `RateLimited` for one too many."""
    async with pool.acquire() as connection, connection.transaction():
        await windows.count(connection, CHANGES_PER_MERCHANT, limit_key_of(merchant_id))


async def check_url(url: str, resolver: Resolver, *, allows_loopback: bool) -> None:
    """Raises InvalidInput where a URL may surely not be called.

    A name that does not resolve now may do so later, so it is taken: each attempt looks again.
    """
    try:
        destination = destination_of(url, allows_loopback=allows_loopback)
        await addresses_of(destination, resolver, allows_loopback=allows_loopback)
    except DestinationRefused as refused:
        raise InvalidInput.of("url", str(refused)) from refused
    except UnknownHost:
        return


async def create_endpoint(
    pool: asyncpg.Pool, keyring: Keyring, merchant_id: str, wanted: NewWebhookEndpoint
) -> MadeWebhookEndpoint:
    """Makes an endpoint whose URL was checked.

    Raises `LimitReached` when the merchant has `ENDPOINTS_PER_MERCHANT_MAX`, and `Forbidden` or
    `Unauthenticated` when they may not sell any more.
    """
    secret = new_secret()
    endpoint = store.LockedEndpoint(
        id=new_id("whe"),
        url=wanted.url,
        description=wanted.description,
        events=_distinct(wanted.events),
        status="enabled",
    )

    async def transaction() -> WebhookEndpoint:
        async with pool.acquire() as connection, connection.transaction():
            await lock_merchant(connection, merchant_id)
            await require_seller(connection, merchant_id)
            if await store.count_endpoints(connection, merchant_id) >= ENDPOINTS_PER_MERCHANT_MAX:
                raise LimitReached(
                    f"A merchant has at most {ENDPOINTS_PER_MERCHANT_MAX} endpoints; delete one first."
                )
            await store.insert_endpoint(
                connection,
                endpoint,
                merchant_id=merchant_id,
                sealed=seal(keyring, secret),
                kid=keyring.kid,
            )
            changes = made(url=host_of(endpoint.url), events=endpoint.events)
            await note(connection, merchant_id, [endpoint.id], changes)
            return await _endpoint(connection, endpoint.id, merchant_id)

    shown = await retry_serialization(transaction)
    return MadeWebhookEndpoint(**msgspec.structs.asdict(shown), secret=secret)


async def list_endpoints(
    pool: asyncpg.Pool, merchant_id: str, *, after: Cursor | None, limit: int
) -> list[WebhookEndpoint]:
    """Returns up to `limit` endpoints of the merchant, newest first, from just behind `after`."""
    return await store.list_endpoints(pool, merchant_id, after=after, limit=limit)


async def get_endpoint(pool: asyncpg.Pool, merchant_id: str, endpoint_id: str) -> WebhookEndpoint:
    """Returns the merchant's endpoint; raises `NotFound`."""
    return await _endpoint(pool, endpoint_id, merchant_id)


async def change_endpoint(
    pool: asyncpg.Pool, merchant_id: str, endpoint_id: str, change: WebhookEndpointChange
) -> WebhookEndpoint:
    """Changes the merchant's endpoint, a new URL of which was checked.

    Raises `NotFound`, and `Forbidden` or `Unauthenticated` when the merchant may not sell any more.
    """

    async def transaction() -> WebhookEndpoint:
        async with pool.acquire() as connection, connection.transaction():
            await require_seller(connection, merchant_id)
            endpoint = await _locked(connection, endpoint_id, merchant_id)
            becomes = _changed(endpoint, change)
            await store.change_endpoint(connection, becomes)
            await note(connection, merchant_id, [endpoint_id], _noted(endpoint, becomes))
            return await _endpoint(connection, endpoint_id, merchant_id)

    return await retry_serialization(transaction)


async def delete_endpoint(pool: asyncpg.Pool, merchant_id: str, endpoint_id: str) -> None:
    """Removes an endpoint of the merchant's; raises `NotFound`."""
    async with pool.acquire() as connection, connection.transaction():
        url = await store.delete_endpoint(connection, endpoint_id, merchant_id)
        if url is None:
            raise NotFound("webhook endpoint")
        await note(connection, merchant_id, [endpoint_id], removed(url=host_of(url)))


async def disable_endpoints(connection: Connection, merchant_id: str, notice: str) -> int:
    """Disables a merchant's endpoints in the caller's transaction, for a reason shown there; counts them."""
    endpoints = await store.disable_endpoints(connection, merchant_id, notice)
    if endpoints:
        await note(connection, merchant_id, endpoints, made(status="disabled"))
    return len(endpoints)


async def delete_endpoints(connection: Connection, merchant_id: str) -> None:
    """Removes all of a merchant's endpoints in the caller's transaction."""
    await store.delete_endpoints(connection, merchant_id)


async def rotate_secret(
    pool: asyncpg.Pool, keyring: Keyring, merchant_id: str, endpoint_id: str
) -> RotatedSecret:
    """Gives the endpoint a new secret; the former one signs beside it for `FORMER_SECRET_MS`.

    Raises `NotFound`, and `LimitReached` when `LIVE_SECRETS_MAX` sign already.
    """
    secret = new_secret()

    async def transaction() -> RotatedSecret:
        async with pool.acquire() as connection, connection.transaction():
            await _locked(connection, endpoint_id, merchant_id)
            if await store.count_live_secrets(connection, endpoint_id) >= LIVE_SECRETS_MAX:
                raise LimitReached(f"At most {LIVE_SECRETS_MAX} secrets sign at once; rotate again tomorrow.")
            ends_at = await store.replace_secret(
                connection, endpoint_id, seal(keyring, secret), keyring.kid, former_ms=FORMER_SECRET_MS
            )
            await note(connection, merchant_id, [endpoint_id])
            return RotatedSecret(secret=secret, former_ends_at=ends_at)

    return await retry_serialization(transaction)


async def ping(pool: asyncpg.Pool, merchant_id: str, endpoint_id: str) -> WebhookDelivery:
    """Makes a test delivery due; raises `NotFound`, and `RateLimited` for one too many."""
    async with pool.acquire() as connection, connection.transaction():
        await windows.count(connection, PINGS_PER_MERCHANT, limit_key_of(merchant_id))
        await _locked(connection, endpoint_id, merchant_id)
        delivery_id = await store.insert_ping(connection, endpoint_id, merchant_id)
        await note(connection, merchant_id, [delivery_id, endpoint_id])
        return await _delivery(connection, delivery_id, endpoint_id)


async def list_deliveries(
    pool: asyncpg.Pool, merchant_id: str, endpoint_id: str, *, after: Cursor | None, limit: int
) -> list[WebhookDelivery]:
    """Returns up to `limit` deliveries of the endpoint, newest first; raises `NotFound`."""
    await _endpoint(pool, endpoint_id, merchant_id)
    return await store.list_deliveries(pool, endpoint_id, after=after, limit=limit)


async def replay_delivery(
    pool: asyncpg.Pool, merchant_id: str, endpoint_id: str, delivery_id: str
) -> WebhookDelivery:
    """Makes one delivery due anew with all its attempts.

    Raises `NotFound`, and `RateLimited` for one too many.
    """
    async with pool.acquire() as connection, connection.transaction():
        await windows.count(connection, SINGLE_REPLAYS_PER_MERCHANT, limit_key_of(merchant_id))
        await _locked(connection, endpoint_id, merchant_id)
        await store.replay_delivery(connection, delivery_id, endpoint_id)
        await note(connection, merchant_id, [delivery_id, endpoint_id])
        return await _delivery(connection, delivery_id, endpoint_id)


async def replay_events(pool: asyncpg.Pool, merchant_id: str, endpoint_id: str, wanted: Replay) -> Replayed:
    """Makes the events of a time due anew, about `REPLAYED_PER_CALL_MAX` of them.

    An event sent again like this within `REPLAYS_APART_MS` is left as it is.

    Raises `NotFound`, `InvalidInput` for times that cannot be told in UTC, and `RateLimited` for one call too
    many of the merchant or to the endpoint.
    """
    for field, time in (("created_from", wanted.created_from), ("created_to", wanted.created_to)):
        if time is not None and not has_utc(time):
            raise InvalidInput.of(field, "must be in the years 1 to 9999 in UTC")

    async def transaction() -> Replayed:
        async with pool.acquire() as connection, connection.transaction():
            await windows.count(connection, REPLAYS_PER_MERCHANT, limit_key_of(merchant_id))
            await _locked(connection, endpoint_id, merchant_id)
            await windows.count(connection, REPLAYS_PER_ENDPOINT, limit_key_of(endpoint_id))
            replayed = await store.replay_events(
                connection,
                endpoint_id,
                merchant_id,
                wanted,
                limit=REPLAYED_PER_CALL_MAX,
                apart_ms=REPLAYS_APART_MS,
            )
            changes = made(
                created_from=wanted.created_from, created_to=wanted.created_to, replayed=replayed.replayed
            )
            await note(connection, merchant_id, [endpoint_id], changes)
            return replayed

    return await retry_serialization(transaction)


def _changed(endpoint: store.LockedEndpoint, change: WebhookEndpointChange) -> store.LockedEndpoint:
    status = endpoint.status
    if change.enabled is not UNSET:
        status = "enabled" if change.enabled else "disabled"
    return msgspec.structs.replace(
        endpoint,
        url=endpoint.url if change.url is UNSET else change.url,
        description=endpoint.description if change.description is UNSET else change.description,
        events=endpoint.events if change.events is UNSET else _distinct(change.events),
        status=status,
    )


def _noted(before: store.LockedEndpoint, after: store.LockedEndpoint) -> Changes:
    """Returns what the log tells of a change; of a URL only where it leads, even if that stays."""
    changes = changed(
        {"events": before.events, "status": before.status}, {"events": after.events, "status": after.status}
    )
    if before.url != after.url:
        changes["url"] = {"before": host_of(before.url), "after": host_of(after.url)}
    return changes


def _distinct(events: list[EventType] | None) -> list[EventType] | None:
    return None if events is None else sorted(set(events))


async def _endpoint(
    connection: asyncpg.Pool | Connection, endpoint_id: str, merchant_id: str
) -> WebhookEndpoint:
    endpoint = await store.select_endpoint(connection, endpoint_id, merchant_id)
    if endpoint is None:
        raise NotFound("webhook endpoint")
    return endpoint


async def _locked(connection: Connection, endpoint_id: str, merchant_id: str) -> store.LockedEndpoint:
    endpoint = await store.lock_endpoint(connection, endpoint_id, merchant_id)
    if endpoint is None:
        raise NotFound("webhook endpoint")
    return endpoint


async def _delivery(connection: Connection, delivery_id: str, endpoint_id: str) -> WebhookDelivery:
    delivery = await store.select_delivery(connection, delivery_id, endpoint_id)
    if delivery is None:
        raise NotFound("delivery")
    return delivery
