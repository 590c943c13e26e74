"""How API keys are forgotten with the person who made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.personal import Person, Personal
from pintuan.people.api_keys.service import delete_keys

if TYPE_CHECKING:
    from sql import Connection


async def _forget(connection: Connection, person: Person) -> None:
    await delete_keys(connection, person.subject)


PERSONAL: Final = Personal(tables=("api_keys",), forget=_forget)
