"""Gives people their role, and takes away with it what they were given to sell with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.base.auth.guards import SELLERS
from pintuan.base.auth.principal import ROLES
from pintuan.base.errors import NotFound
from pintuan.people.activity.changes import changed, removed
from pintuan.people.activity.log import note
from pintuan.people.api_keys.service import delete_keys
from pintuan.people.identity.service import give_role
from pintuan.people.identity.sessions import revoke_all
from pintuan.people.merchants.service import is_known, wait_for_merchant
from pintuan.selling.webhooks.service import disable_endpoints
from pintuan.shop.deals.pausing import pause_deals
from sql.retry import retry_serialization

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.auth import Role
    from pintuan.people.contacts.contacts import Contact
    from sql import Connection

NO_SELLER: Final = "disabled because this account does not sell any more"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The number of means to sell that came to an end."""

    api_keys: int = 0
    sessions: int = 0
    webhook_endpoints: int = 0
    deals_paused: int = 0

    def __str__(self) -> str:
        fields = msgspec.structs.asdict(self)
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in fields.items())


async def grant(pool: asyncpg.Pool, contact: Contact, role: Role) -> tuple[str, Ended]:
    """Gives the contact's account a role, and makes the account if there is none; returns its id and the
    means to sell that ended.

    A role that may do less ends the account's sessions, and one that may not sell its API keys and webhook
    endpoints, all in the transaction of the role. Then its deals are paused one by one; a call that is cut
    short there is repeated. The ended keys and tokens are refused everywhere within `API_KEY_REMEMBERED_S`
    seconds.
    """

    async def transaction() -> tuple[str, Ended]:
        async with pool.acquire() as connection, connection.transaction():
            account_id, former = await give_role(connection, contact, role)
            sells = role in SELLERS or former in SELLERS
            await note(
                connection,
                account_id if sells else None,
                [account_id],
                changed({"role": former}, {"role": role}),
            )
            ended = Ended()
            if ROLES.index(role) < ROLES.index(former):
                ended = await _end_sessions(connection, account_id)
            if role not in SELLERS:
                ended = msgspec.structs.replace(
                    ended,
                    api_keys=await delete_keys(connection, account_id),
                    webhook_endpoints=await disable_endpoints(connection, account_id, NO_SELLER),
                )
            return account_id, ended

    account_id, ended = await retry_serialization(transaction)
    if role not in SELLERS:
        ended = msgspec.structs.replace(ended, deals_paused=len(await pause_deals(pool, account_id)))
    return account_id, ended


async def revoke_keys(pool: asyncpg.Pool, merchant_id: str) -> Ended:
    """Ends all API keys of a merchant, and all sessions where they have an account; their role stays.

    Keys are refused everywhere within `API_KEY_REMEMBERED_S` seconds, tokens of the sessions sooner.
    Raises `NotFound` for a merchant nothing is known of, such as a misspelt one.
    """
    if not await is_known(pool, merchant_id):
        raise NotFound("merchant")

    async def transaction() -> Ended:
        async with pool.acquire() as connection, connection.transaction():
            # A key that is being made is waited for, and ended too.
            await wait_for_merchant(connection, merchant_id)
            ended = await _end_sessions(connection, merchant_id)
            return msgspec.structs.replace(ended, api_keys=await delete_keys(connection, merchant_id))

    return await retry_serialization(transaction)


async def _end_sessions(connection: Connection, account_id: str) -> Ended:
    sessions = await revoke_all(connection, account_id)
    if sessions:
        await note(connection, account_id, sessions, removed(sessions=len(sessions)))
    return Ended(sessions=len(sessions))
