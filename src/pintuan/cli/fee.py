"""`pintuan fee`: sets, or shows, the platform's part of what a merchant sells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import click

import sql
from pintuan.base.auth.acting import acting, operator
from pintuan.base.auth.principal import SUBJECT_LENGTH_MAX, is_subject
from pintuan.base.settings.settings import load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.money.ledger import service, store
from pricing.fee import BASIS_POINTS

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings

POOL_SIZE_MAX = 1


@click.command()
@click.option("--merchant", required=True, help="Whose fee; added if not known yet.")
@click.option(
    "--bps",
    type=click.IntRange(0, BASIS_POINTS),
    help="The fee from now on in basis points: 250 is 2.5 %.",
)
@click.option("--show", is_flag=True, help="Print the fee and change nothing.")
def command(*, merchant: str, bps: int | None, show: bool) -> None:
    """Set the platform's part of what a merchant sells, and print the old and the new one.

    The fee that holds when a payment is captured counts; what was captured before stays as it is.
    """
    if not is_subject(merchant):
        raise click.BadParameter(
            f"must be 1 to {SUBJECT_LENGTH_MAX} printable characters, without padding",
            param_hint="--merchant",
        )
    if (bps is None) != show:
        raise click.UsageError("give either --bps or --show")
    settings = load_settings()
    try:
        click.echo(asyncio.run(_told(settings, merchant, bps)))
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error


async def _told(settings: Settings, merchant: str, bps: int | None) -> str:
    async with (
        migrated_database(settings) as with_database,
        open_pool(with_database, size_max=POOL_SIZE_MAX, application_name="pintuan-fee") as pool,
    ):
        if bps is None:
            known = await store.merchant_fee(pool, merchant)
            if known is None:
                raise click.ClickException(f"there is no merchant {merchant!r}")
            return f"{merchant}: {known} basis points"
        with acting(operator("pintuan fee")):
            before = await service.set_fee(pool, merchant, bps)
        was = "new" if before is None else str(before)
        return f"{merchant}: {was} -> {bps} basis points"
