"""Gives a market a past in bulk: orders that were paid for long ago, and groups that are still open.

The rows are what the application would have written, so that constraints, triggers and `pintuan audit` take
them as its own. Their statements are in `grow.sql`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.statements import kit_statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from sql import Connection


SQL: Final = kit_statements("grow")
GROUP_MEMBERS: Final = 100
"""Of a group of the past that has succeeded."""
DEAL_GROUPS: Final = 100
OPEN_GROUP_TTL_S: Final = 6 * 24 * 3600
"""Groups that are still open are 25 hours old, so that their members' requests have been forgotten."""


async def prepare(connection: Connection) -> None:
    """Makes a database ready to be filled by this connection, and leaves only joins at work in it."""
    for name in ("stop_autovacuum", "reload_settings", "write_lazily"):
        await connection.execute(SQL[name])


async def add_history(
    connection: Connection, like_deal_id: str, orders: int, on_deal: Callable[[int], None]
) -> None:
    """Adds `orders` that were paid for, rounded up to whole groups, in ended deals with the terms of another.

    `on_deal` is told how many orders there are whenever a deal is complete.
    """
    groups = -(-orders // GROUP_MEMBERS)
    deals = await connection.fetch(SQL["copy_deal"], like_deal_id, -(-groups // DEAL_GROUPS))
    for number, deal in enumerate(deals):
        of_deal = min(DEAL_GROUPS, groups - number * DEAL_GROUPS)
        await _fill(connection, deal["id"], of_deal, GROUP_MEMBERS, succeeded=True)
        on_deal((number * DEAL_GROUPS + of_deal) * GROUP_MEMBERS)


async def add_open_groups(connection: Connection, deal_id: str, groups: int, members: int) -> list[str]:
    """Opens `groups` of as many paid-up members each, in a deal nobody has joined yet; returns their ids.

    The deal has one lane, groups may be open for `OPEN_GROUP_TTL_S`, and hold all the members.
    """
    await _fill(connection, deal_id, groups, members, succeeded=False)
    return [row["id"] for row in await connection.fetch(SQL["open_groups"], deal_id)]


async def authorise_held(connection: Connection, deal_id: str) -> None:
    """Has everybody's payment succeed who has joined a deal, as workers do within two seconds."""
    async with connection.transaction():
        await connection.execute(SQL["pay_held"], deal_id)
        await connection.execute(SQL["authorise_held"], deal_id)


async def rest(connection: Connection) -> None:
    """Returns when the server has nothing left to do; statistics stay as they are."""
    await connection.execute(SQL["write_out"])


async def clean_up(connection: Connection) -> None:
    """Brings statistics up to date, as autovacuum would."""
    await connection.execute(SQL["clean_up"])
    await rest(connection)


async def _fill(connection: Connection, deal_id: str, groups: int, members: int, *, succeeded: bool) -> None:
    async with connection.transaction():
        await connection.execute(SQL["add_groups"], deal_id, groups, members, succeeded)
        await connection.execute(SQL["add_members"], deal_id, members)
        for name in ("count_buyers", "count_sold", "add_payments"):
            await connection.execute(SQL[name], deal_id)
        if succeeded:
            await connection.execute(SQL["add_postings"], deal_id)
