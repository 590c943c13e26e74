"""A merchant's calls about API keys, and how a key that comes with a request is recognised."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING

from pintuan.base.auth.principal import Principal
from pintuan.base.errors import InvalidInput, LimitReached, NotFound, Overloaded, Unauthenticated
from pintuan.base.wire.times import has_utc
from pintuan.people.activity.changes import made, removed
from pintuan.people.activity.log import note
from pintuan.people.api_keys import store
from pintuan.people.api_keys.key_text import new_key, read_key_text
from pintuan.people.api_keys.limits import (
    KEYS_PER_MERCHANT_MAX,
    LOOKUP_WAIT_S,
    LOOKUPS_AT_ONCE_MAX,
    REFUSED_COUNT_MAX,
    REFUSED_REMEMBERED_S,
)
from pintuan.people.api_keys.schemas import ApiKey, MadeApiKey, NewApiKey
from pintuan.people.merchants.service import lock_merchant, require_seller
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.wire.cursors import Cursor
    from pintuan.people.api_keys.key_text import Claimed
    from sql import Connection


async def create_key(pool: asyncpg.Pool, merchant_id: str, key: NewApiKey) -> MadeApiKey:
    """Makes a key of the merchant's.

    Raises `InvalidInput` when it would have expired already, `LimitReached` when the merchant has
    `KEYS_PER_MERCHANT_MAX`, and `Forbidden` or `Unauthenticated` when they may no longer sell.
    """
    if key.expires_at is not None and not has_utc(key.expires_at):
        raise InvalidInput.of("expires_at", "must be in the years 1 to 9999 in UTC")
    text, claimed = new_key()

    async def transaction() -> datetime:
        async with pool.acquire() as connection, connection.transaction():
            await lock_merchant(connection, merchant_id)
            await require_seller(connection, merchant_id)
            if await store.count_keys(connection, merchant_id) >= KEYS_PER_MERCHANT_MAX:
                raise LimitReached(f"A merchant has at most {KEYS_PER_MERCHANT_MAX} keys; delete one first.")
            created_at = await store.insert_key(
                connection, claimed, merchant_id=merchant_id, name=key.name, expires_at=key.expires_at
            )
            if created_at is None:
                raise InvalidInput.of("expires_at", "must be in the future")
            changes = made(name=key.name, expires_at=key.expires_at)
            await note(connection, merchant_id, [claimed.key_id], changes)
            return created_at

    created_at = await retry_serialization(transaction)
    return MadeApiKey(
        id=claimed.key_id,
        name=key.name,
        created_at=created_at,
        expires_at=key.expires_at,
        last_used_at=None,
        key=text,
    )


async def list_keys(
    pool: asyncpg.Pool, merchant_id: str, *, after: Cursor | None, limit: int
) -> list[ApiKey]:
    """Returns up to `limit` keys of the merchant, newest first, from just behind `after`."""
    return await store.list_keys(pool, merchant_id, after=after, limit=limit)


async def delete_key(pool: asyncpg.Pool, merchant_id: str, key_id: str) -> None:
    """Removes a key of the merchant's; raises `NotFound`."""
    async with pool.acquire() as connection, connection.transaction():
        name = await store.delete_key(connection, key_id, merchant_id=merchant_id)
        if name is None:
            raise NotFound("API key")
        await note(connection, merchant_id, [key_id], removed(name=name))


async def delete_keys(connection: Connection, merchant_id: str) -> int:
    """Removes all of a merchant's keys in the caller's transaction; returns how many."""
    keys = await store.delete_keys(connection, merchant_id)
    if keys:
        await note(connection, merchant_id, keys, removed(api_keys=len(keys)))
    return len(keys)


class KeyLookup:
    """Recognises keys by asking Postgres, a few at a time; a key that was refused is not looked up again."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(LOOKUPS_AT_ONCE_MAX)
        # Until when each is refused without a look, by the loop's clock.
        self._refused: OrderedDict[Claimed, float] = OrderedDict()

    async def principal_of(self, text: str) -> Principal:
        """Returns the merchant whose valid key this is.

        Raises:
            Unauthenticated: the text is no key, or that of a key which was deleted or has expired, or whose
                merchant may not sell any more.
            Overloaded: too many keys are being looked up.
        """
        claimed = read_key_text(text)
        if claimed is None:
            raise Unauthenticated("The API key is not one of ours.")
        now_s = asyncio.get_running_loop().time()
        if now_s < self._refused.get(claimed, 0.0):
            raise _unknown()
        try:
            async with asyncio.timeout(LOOKUP_WAIT_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Overloaded("Too many API keys are being looked up.") from error
        try:
            merchant_id = await store.use_key(self._pool, claimed)
        finally:
            self._turns.release()
        if merchant_id is None:
            self._refused[claimed] = now_s + REFUSED_REMEMBERED_S
            self._refused.move_to_end(claimed)
            if len(self._refused) > REFUSED_COUNT_MAX:
                self._refused.popitem(last=False)
            raise _unknown()
        return Principal(merchant_id, "merchant", api_key_id=claimed.key_id)


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "The API key does not exist, was deleted or has expired, or its account sells no more."
    )
