"""Whose affairs a call is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.base.errors import Forbidden, InvalidInput
from pintuan.people.merchants import store

if TYPE_CHECKING:
    from pintuan.base.auth import Principal
    from sql import Connection


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
