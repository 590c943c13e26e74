"""`pintuan grant`: gives somebody a role, and an account where they have none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import asyncpg
import click

import sql
from pintuan.base.auth.acting import acting, operator
from pintuan.base.auth.principal import ROLES, Role
from pintuan.base.errors import InvalidInput
from pintuan.base.settings.settings import Settings, load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.people.contacts.contacts import contact_of
from pintuan.selling.rights.service import Ended, grant

if TYPE_CHECKING:
    from pintuan.people.contacts.contacts import Contact

POOL_SIZE_MAX = 1


@click.command()
@click.option("--email", help="Whose account, by e-mail address.")
@click.option("--phone", help="Whose account, by phone number with its country code (+33123456789).")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do from now on.")
def command(*, email: str | None, phone: str | None, role: str) -> None:
    """Give somebody a role, and print the id of their account; one is made where there is none.

    Who is signed in already has a role that may do more within 15 minutes, when their access token is
    refreshed. One that may do less ends their sessions, and the role of a buyer their API keys and webhook
    endpoints, too, and pauses their deals; every server knows of it within ten seconds.
    """
    settings = load_settings()
    try:
        contact = contact_of(email, phone, fictional=settings.env == "dev")
    except InvalidInput as error:
        raise click.BadParameter(error.errors[0].message, param_hint=f"--{error.errors[0].field}") from error
    account_id, ended = asyncio.run(_grant(settings, contact, cast("Role", role)))
    click.echo(account_id)
    if ended != Ended():
        click.echo(f"ended with the former role: {ended}", err=True)


async def _grant(settings: Settings, contact: Contact, role: Role) -> tuple[str, Ended]:
    try:
        async with (
            migrated_database(settings) as with_database,
            open_pool(with_database, size_max=POOL_SIZE_MAX, application_name="pintuan-grant") as pool,
        ):
            with acting(operator("pintuan grant")):
                return await grant(pool, contact, role)
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error
