"""The merchant that a call is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.auth.verifier import REFUSED_HERE_S
from pintuan.base.errors import Forbidden, InvalidInput, Unauthenticated
from pintuan.people.merchants import store

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.auth import Principal
    from sql import Connection

# No token from before an erasure is alive this long after it.
ERASED_MS: Final = round(REFUSED_HERE_S * 1000)


def merchant_of(seller: Principal, merchant_id: str | None) -> str:
    """Returns whose sales are meant: a merchant's own, or those of the merchant an admin names.

    Raises Forbidden when a merchant names another one, InvalidInput when an admin names none.
    """
    if seller.role == "merchant":
        if merchant_id not in (None, seller.subject):
            raise Forbidden("Only an admin may look at another merchant's sales.")
        return seller.subject
    if merchant_id is None:
        raise InvalidInput.of("merchant_id", "is required of an admin")
    return merchant_id


async def lock_merchant(connection: Connection, merchant_id: str) -> None:
    """Makes changes of one merchant follow each other: until the commit, others wait here.

    A merchant that nothing is known of yet is added, so that there is something to lock.
    """
    await store.insert_merchant(connection, merchant_id)
    await store.lock_merchant(connection, merchant_id)


async def wait_for_merchant(connection: Connection, merchant_id: str) -> None:
    """Waits until no change of this merchant is under way; of one that nothing is known of, nothing is."""
    await store.lock_merchant(connection, merchant_id)


async def is_known(pool: asyncpg.Pool, merchant_id: str) -> bool:
    """Says whether the merchant ever sold, or has an account."""
    return await store.is_known(pool, merchant_id)


async def require_seller(connection: Connection, subject: str) -> None:
    """Lets a caller pass who may sell, and has it stay so until the transaction ends.

    A key or a token is believed for some seconds after its account lost the right to sell. The right
    is therefore checked here before an object is made that outlasts that time, such as a key, an endpoint or
    a deal. The check comes before deals and variants are locked, and after the merchant is.

    Raises:
        Forbidden: their account has another role by now.
        Unauthenticated: they were erased.
    """
    standing = await store.hold_standing(connection, subject, erased_ms=ERASED_MS)
    if standing.is_erased:
        raise Unauthenticated("The account this was issued to is gone.")
    if not standing.may_sell:
        raise Forbidden("This account does not sell any more.")
