"""`pintuan migrate`: brings the database's schema up to date, safely from many processes at once."""

from __future__ import annotations

import asyncio

import click

import sql
from pintuan.services import running_services
from pintuan.settings import Settings, load_settings


@click.command()
@click.option("--dry-run", is_flag=True, help="List what would be applied and change nothing.")
def command(*, dry_run: bool) -> None:
    """Bring the database's schema up to date."""
    asyncio.run(_migrate(load_settings(), dry_run=dry_run))


async def _migrate(settings: Settings, *, dry_run: bool) -> None:
    async with running_services(settings) as running:
        if running.database_url is None:
            raise click.ClickException("no database to migrate")
        try:
            names = await sql.migrate(running.database_url, dry_run=dry_run, on_event=click.echo)
        except sql.MigrationError as error:
            raise click.ClickException(str(error)) from error
    if not names:
        click.echo("the schema is up to date")
    elif dry_run:
        click.echo("\n".join(f"would apply {name}" for name in names))
    else:
        click.echo(f"applied {len(names)}")
