"""`pintuan up`: runs the whole marketplace on this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sql
from pintuan.base.settings.settings import SettingsError, read_settings
from pintuan.base.stores.embedded import EmbeddedError, MissingServerError
from pintuan.base.stores.embedded.data_directory import DataDirectory
from pintuan.base.stores.embedded.process import open_log
from pintuan.running.cautions import of_host, of_node, of_settings, warnings
from pintuan.running.supervisor.errors import SupervisorError
from pintuan.running.supervisor.marketplace import Marketplace, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

API_WORKERS_MAX = 64
WORKERS_MAX = 64


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on.  [default: 8000]")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where everything is kept.  [default: .pintuan]"
)
@click.option(
    "--api-workers",
    type=click.IntRange(0, API_WORKERS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="API processes; 0 runs only workers, and serves /metrics and /health.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, WORKERS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="Worker processes; 0 runs only the API.",
)
@click.option("--demo", is_flag=True, help="Fill the marketplace with live shoppers once it is ready.")
def command(
    *, host: str, port: int | None, data_dir: Path | None, api_workers: int, workers: int, demo: bool
) -> None:
    """Run the marketplace: servers, API and workers, until SIGTERM or Ctrl-C.

    SIGHUP puts new API and worker processes in the place of the old ones, one by one, and loses no request.
    """
    if not api_workers and (demo or not workers):
        missing = "the demo needs an API" if demo else "there is nothing to run"
        raise click.UsageError(f"{missing}: let --api-workers be 1 or more")
    reading = read_settings(http_port=port, data_dir=data_dir)
    plan = Plan(
        settings=reading.usable(),
        host=host,
        api_workers=api_workers,
        workers=workers,
        demo=demo,
        # The show and what the processes log would garble each other.
        log_to_files=demo,
    )
    found = [*of_settings(reading), *of_host(plan.settings, host)]
    cautions = warnings([*found, *of_node(plan.settings, api_workers=api_workers)])
    try:
        asyncio.run(_run(plan, cautions))
    except MissingServerError as error:
        raise SettingsError(error.variable, str(error)) from error
    except EmbeddedError as error:
        # The embedded servers have nothing an operator sets but where their data is.
        raise SettingsError("PINTUAN_DATA_DIR", str(error)) from error
    except (SupervisorError, sql.MigrationError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _run(plan: Plan, cautions: list[str]) -> None:
    report = _reporter(plan)
    for caution in cautions:
        report(caution)
    await Marketplace(plan, announce=click.echo, report=report).run()


def _reporter(plan: Plan) -> Callable[[str], None]:
    """Where trouble is told: on stderr, or in a log while the demo has the terminal."""
    if not plan.log_to_files:
        return lambda line: click.echo(f"pintuan: {line}", err=True)
    log = DataDirectory(plan.settings.data_dir).log("supervisor")
    click.echo(f"Logs are in {log.parent}")

    def report(line: str) -> None:
        descriptor = open_log(log)
        try:
            os.write(descriptor, f"pintuan: {line}\n".encode())
        finally:
            os.close(descriptor)

    return report
