"""How an erasure waits for a merchant's changes; the merchant itself stays, because its sales do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.personal import Person, Personal
from pintuan.people.merchants.service import wait_for_merchant

if TYPE_CHECKING:
    from sql import Connection


async def _hold(connection: Connection, person: Person) -> None:
    """Waits for a key or an endpoint that is being made, so that it is forgotten too."""
    await wait_for_merchant(connection, person.subject)


PERSONAL: Final = Personal(hold=_hold)
