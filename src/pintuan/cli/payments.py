"""`pintuan payments`: what an operator does about payment operations that were given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg
import click
import msgspec

import sql
from pintuan.base.auth.acting import acting, operator
from pintuan.base.settings.settings import load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.money.payments.escalation import OperationName, list_escalated, look_again, settle_escalated
from pintuan.money.payments.gateway import Answer, Declined, Succeeded

if TYPE_CHECKING:
    from pintuan.money.payments.escalation import Escalated

POOL_SIZE_MAX: Final = 1
LISTED_MAX: Final = 1_000
T = TypeVar("T")


def _parse(_context: click.Context, parameter: click.Parameter, value: str) -> OperationName:
    try:
        return OperationName.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from error


@click.group()
def command() -> None:
    """See payment operations whose outcome nobody knows, and mend them."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of text.")
def list_command(*, as_json: bool) -> None:
    """List the operations that wait for a person, the longest first."""
    escalated = _run(lambda pool: list_escalated(pool, count_max=LISTED_MAX), action="list")
    if as_json:
        click.echo(msgspec.json.encode(escalated).decode())
        return
    for one in escalated:
        click.echo(_line(one))
    click.echo(f"{len(escalated)} payment operations wait for a person", err=True)


@command.command()
@click.argument("operation", callback=_parse)
def retry(operation: OperationName) -> None:
    """Look OPERATION (ORDER:KIND, as listed) up at the gateway, and try it once more if need be.

    The key stays the same, so nothing is charged twice. A worker does it within seconds.
    """
    if not _run(lambda pool: look_again(pool, operation), action="retry"):
        raise click.ClickException(f"nothing to retry: {operation} is neither escalated nor waiting")
    click.echo(f"{operation} is due now")


@command.command()
@click.argument("operation", callback=_parse)
@click.option("--succeeded", metavar="REFERENCE", help="It took place; the gateway's own reference of it.")
@click.option("--declined", metavar="REASON", help="It did not take place and never will; why.")
def resolve(operation: OperationName, *, succeeded: str | None, declined: str | None) -> None:
    """Record what the bank says became of an escalated OPERATION; order and ledger follow.

    Look at the gateway first: what you say is believed.
    """
    if (succeeded is None) == (declined is None):
        raise click.UsageError("say either --succeeded REFERENCE or --declined REASON")
    answer: Answer = Succeeded(succeeded) if succeeded is not None else Declined(declined or "")
    if not _run(lambda pool: settle_escalated(pool, operation, answer), action="resolve"):
        raise click.ClickException(
            f"{operation} is not escalated, or the database refuses what would follow;"
            " see `pintuan payments list`"
        )
    click.echo(f"{operation} is {'succeeded' if succeeded is not None else 'declined'}")


def _line(one: Escalated) -> str:
    since = f"{one.escalated_at:%Y-%m-%d %H:%M:%SZ}"
    amount = f"{one.amount_minor} {one.currency} minor units"
    return f"{one.name}  {one.state} since {since}, {amount}, order {one.order_status}: {one.failure}"


def _run(work: Callable[[asyncpg.Pool], Awaitable[T]], *, action: str) -> T:
    async def run() -> T:
        async with (
            migrated_database(load_settings()) as settings,
            open_pool(settings, size_max=POOL_SIZE_MAX, application_name="pintuan-payments") as pool,
        ):
            with acting(operator(f"pintuan payments {action}")):
                return await work(pool)

    try:
        return asyncio.run(run())
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error
