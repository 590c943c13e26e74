"""`pintuan audit`: checks every invariant over all data."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import asyncpg
import click
import msgspec
from redis.exceptions import RedisError
from rich.console import Console

from groups.engine import REQUEST_TTL_MS
from groups.errors import Overloaded
from groups.lane_store import LaneStore
from pintuan.base.settings.settings import Settings, SettingsError, load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.redis import placement_url
from pintuan.base.stores.running import running_services
from pintuan.money.payments.gateway import GatewayError
from pintuan.money.payments.gateways import open_gateway
from pintuan.running.audit.gateway_books import PAYMENTS_MAX, check_gateway_books
from pintuan.running.audit.service import Check, Report, audit
from pintuan.running.audit.store import OFFENDERS_MAX

POOL_SIZE_MAX = 4
STORE_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    RedisError,
)
BROKEN_EXIT_CODE: Final = 1
UNKNOWN_EXIT_CODE: Final = 3


class CouldNotLookError(click.ClickException):
    """Nothing is known to be broken, and nothing to be right: a store did not answer, or not everything."""

    exit_code = UNKNOWN_EXIT_CODE


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option(
    "--gateway-payments",
    type=click.IntRange(0, PAYMENTS_MAX),
    default=0,
    show_default=True,
    help="Ask the payment gateway, too, about this many payments, the newest.",
)
@click.pass_context
def command(context: click.Context, *, as_json: bool, gateway_payments: int) -> None:
    """Check every invariant over all data; exit 1 and name the offenders if one is broken.

    Where it cannot look, because a store is away, say, it exits 3 and tells why in one line.
    """
    try:
        report = asyncio.run(_audit(load_settings(), gateway_payments))
    except SettingsError as error:
        raise CouldNotLookError(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise CouldNotLookError("the schema is not there yet; run `pintuan migrate`") from error
    except Overloaded as error:
        raise CouldNotLookError(str(error)) from error
    except (*STORE_TROUBLE, OSError) as error:
        raise CouldNotLookError(f"the stores failed: {error or type(error).__name__}") from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _show(report)
    context.exit(0 if report.ok else BROKEN_EXIT_CODE)


async def _audit(settings: Settings, gateway_payments: int) -> Report:
    status = Console(file=sys.stderr).status("auditing")
    async with running_services(settings) as running:
        store = LaneStore(placement_url(running), rates=None, request_ttl_ms=REQUEST_TTL_MS)
        try:
            async with open_pool(running, size_max=POOL_SIZE_MAX, application_name="pintuan-audit") as pool:
                with status:
                    report = await audit(
                        pool, store, on_check=lambda name: status.update(name.replace("_", " "))
                    )
                    if not gateway_payments:
                        return report
                    status.update("gateway books agree")
                    return _with(report, await _gateway_check(running, pool, gateway_payments))
        finally:
            await store.close()


async def _gateway_check(settings: Settings, pool: asyncpg.Pool, count_max: int) -> Check:
    sandbox = settings.payment_gateway == "sandbox"
    async with open_gateway(settings, pool) as gateway:
        try:
            return await check_gateway_books(pool, gateway, sandbox=sandbox, count_max=count_max)
        except GatewayError as error:
            raise CouldNotLookError(f"the payment gateway did not tell its books: {error}") from error


def _with(report: Report, check: Check) -> Report:
    return msgspec.structs.replace(
        report, checks=[*report.checks, check], ok=report.ok and not check.offenders
    )


def _show(report: Report) -> None:
    for check in report.checks:
        _show_check(check, good="ok", bad="BROKEN", colour="red")
    for notice in report.notices:
        if notice.offenders:
            _show_check(notice, good="", bad="notice", colour="yellow")
    click.echo(f"{report.lanes_compared} of {report.lanes_count} lanes were warm in Redis and compared")
    broken = sum(bool(check.offenders) for check in report.checks)
    click.echo(f"{len(report.checks)} checks, {broken} broken")


def _show_check(check: Check, *, good: str, bad: str, colour: str) -> None:
    if not check.offenders:
        click.echo(f"{click.style(good, fg='green')}      {check.about}")
        return
    click.echo(f"{click.style(bad, fg=colour)}  {check.about}")
    for offender in check.offenders:
        click.echo(f"          {offender.id}: {offender.detail}")
    if len(check.offenders) == OFFENDERS_MAX:
        click.echo(f"          only the first {OFFENDERS_MAX} are shown")
