"""How webhook endpoints are forgotten with the person who made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.personal import Person, Personal
from pintuan.selling.webhooks.service import delete_endpoints

if TYPE_CHECKING:
    from sql import Connection


async def _forget(connection: Connection, person: Person) -> None:
    await delete_endpoints(connection, person.subject)


PERSONAL: Final = Personal(tables=("webhook_endpoints", "webhook_secrets"), forget=_forget)
