"""One click stops a kind of messages: later ones, and those that wait to be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.people.consents.service import note, stop_of_token
from pintuan.people.notifications import store

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from pintuan.people.consents.stoppable import Stoppable


async def unsubscribe(pool: asyncpg.Pool, keyring: Keyring, token: str) -> Stoppable:
    """Sends the owner of the link no messages of its kind any more, those that wait included; twice is once.

    Returns the kind. Raises NotFound.
    """
    stop = stop_of_token(keyring, token)
    async with pool.acquire() as connection, connection.transaction():
        await note(connection, keyring, stop)
        await store.supersede(connection, stop.contact.person_digests(keyring), stop.topic)
    return stop.topic
