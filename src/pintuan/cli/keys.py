"""`pintuan keys`: ends the keys by which others act for a merchant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import click

import sql
from pintuan.base.auth.acting import acting, operator
from pintuan.base.auth.principal import SUBJECT_LENGTH_MAX, is_subject
from pintuan.base.errors import NotFound
from pintuan.base.settings.settings import load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.selling.rights.service import revoke_keys

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings

POOL_SIZE_MAX = 1


@click.group()
def command() -> None:
    """End the keys by which others act for a merchant."""


@command.command()
@click.argument("merchant")
def revoke(*, merchant: str) -> None:
    """End all API keys of MERCHANT, and their sessions where they have an account; print how many.

    MERCHANT is a merchant id, such as `pintuan grant` printed. They stay a merchant: they sign in anew and
    make new keys. `pintuan grant --role buyer` takes that away. Every server refuses the keys within ten
    seconds.
    """
    if not is_subject(merchant):
        raise click.BadParameter(
            f"must be 1 to {SUBJECT_LENGTH_MAX} printable characters, without padding", param_hint="MERCHANT"
        )
    settings = load_settings()
    try:
        click.echo(asyncio.run(_revoked(settings, merchant)))
    except NotFound as error:
        raise click.ClickException(f"there is no merchant {merchant!r}") from error
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error


async def _revoked(settings: Settings, merchant: str) -> str:
    async with (
        migrated_database(settings) as with_database,
        open_pool(with_database, size_max=POOL_SIZE_MAX, application_name="pintuan-keys") as pool,
    ):
        with acting(operator("pintuan keys revoke")):
            ended = await revoke_keys(pool, merchant)
    return f"{merchant}: ended {ended.api_keys} API keys and {ended.sessions} sessions"
