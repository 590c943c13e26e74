"""`pintuan activity`: who changed what, merchants, admins and operators alike."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg
import click
import msgspec

import sql
from pintuan.base.settings.settings import load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.base.wire.times import instant_of
from pintuan.people.activity.store import Wanted, list_activity

if TYPE_CHECKING:
    from pintuan.people.activity.store import Entry

POOL_SIZE_MAX: Final = 1
LISTED_MAX: Final = 10_000


def _time(_context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else instant_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from error


@click.command()
@click.option("--merchant", "merchant_id", help="Only what is this merchant's business.")
@click.option("--actor", help="Only what this account, or this operator, did.")
@click.option("--action", help="Only this operation (pause_deal) or command ('pintuan fee').")
@click.option("--object", "object_id", help="Only what was done to this deal, order, key, …")
@click.option("--since", "created_from", callback=_time, help="Only from then on: 2026-05-01T18:30:00Z.")
@click.option("--until", "created_to", callback=_time, help="Only before this time.")
@click.option("--limit", type=click.IntRange(1, LISTED_MAX), default=100, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of text.")
def command(
    *,
    merchant_id: str | None,
    actor: str | None,
    action: str | None,
    object_id: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List who changed what, the newest first; the log itself cannot be changed."""
    wanted = Wanted(
        merchant_id=merchant_id,
        actor=actor,
        action=action,
        object_id=object_id,
        created_from=created_from,
        created_to=created_to,
    )
    try:
        entries = asyncio.run(_read(wanted, limit))
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error
    for entry in entries:
        click.echo(msgspec.json.encode(entry).decode() if as_json else _line(entry))


async def _read(wanted: Wanted, limit: int) -> list[Entry]:
    async with (
        migrated_database(load_settings()) as settings,
        open_pool(settings, size_max=POOL_SIZE_MAX, application_name="pintuan-activity") as pool,
    ):
        return await list_activity(pool, wanted, after=None, limit=limit)


def _line(entry: Entry) -> str:
    when = f"{entry.created_at:%Y-%m-%d %H:%M:%SZ}"
    who = f"{entry.actor_role} {entry.actor}" + (f" by {entry.credential_id}" if entry.credential_id else "")
    where = f" from {entry.address}" if entry.address else ""
    whose = f" of {entry.merchant_id}" if entry.merchant_id else ""
    changes = "; ".join(
        f"{name}: " + " -> ".join(str(change[side]) for side in ("before", "after") if side in change)
        for name, change in entry.changes.items()
    )
    return f"{when}  {who}{where}: {entry.action} {' '.join(entry.object_ids)}{whose}" + (
        f"  ({changes})" if changes else ""
    )
