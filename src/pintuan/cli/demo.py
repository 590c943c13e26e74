"""`pintuan demo`: fills a running marketplace with live shoppers, and checks that all ends as planned."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
from rich.console import Console

from pintuan.base.settings.settings import load_settings
from pintuan.running.demo.errors import DemoError
from pintuan.running.demo.show import run_show
from pintuan.running.demo.venue import Venue, find_venue

SEED_MAX = 2**32 - 1
TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
# Wide enough for every table where no terminal sets a width.
PLAIN_WIDTH = 132


@click.command()
@click.option("--url", help="The marketplace's address.  [default: of the one on the data directory]")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where the marketplace keeps everything.  [default: .pintuan]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, SEED_MAX),
    default=1,
    show_default=True,
    help="Draws the pauses and the order of the scenes.",
)
@click.pass_context
def command(context: click.Context, *, url: str | None, data_dir: Path | None, seed: int) -> None:
    """Fill a running marketplace with live shoppers, for about half a minute.

    Merchants import products and put them on deals in four currencies; shoppers open groups, join through
    links, are declined, refused, leave, and pay. Every ending is checked; exits 1 if one was not as planned.
    """
    settings = load_settings(data_dir=data_dir)
    try:
        venue = find_venue(settings, url)
        faults = asyncio.run(_run(venue, seed))
    except DemoError as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        # SIGTERM, which is how `pintuan up` ends us; the view was put away on the way here.
        context.exit(TERMINATED_EXIT_CODE)
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        raise click.ClickException("the show did not go as planned; what differs is listed above")


async def _run(venue: Venue, seed: int) -> list[str]:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run_show(venue, _console(), seed=seed)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)
