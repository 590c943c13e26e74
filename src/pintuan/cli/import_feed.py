"""`pintuan import`: brings a product feed into the catalogue."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

import sql
from pintuan.base.auth.acting import acting, operator
from pintuan.base.auth.principal import SUBJECT_LENGTH_MAX, is_subject
from pintuan.base.settings.settings import Settings, load_settings
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.running import migrated_database
from pintuan.shop.feeds.formats import HEAD_BYTES, FeedError, FeedRow, Halt, read_feed
from pintuan.shop.feeds.service import FeedImport, ImportReport

if TYPE_CHECKING:
    from collections.abc import Iterable

POOL_SIZE_MAX = 1
IMPORT_S_MAX = 3_600.0


@click.command()
@click.argument("feed", type=click.Path(path_type=Path))
@click.option("--merchant", required=True, help="Whose products these are; added if not known yet.")
@click.option("--currency", help="ISO 4217 code of prices that name none; else PINTUAN_DEFAULT_CURRENCY.")
def command(*, feed: Path, merchant: str, currency: str | None) -> None:
    """Import the product feed FEED.

    CSV or TSV with Google's or Meta's column names, Shopify's product CSV, RSS 2.0 or Atom; the content
    shows which. Rows that cannot be kept are reported with their line, the others are imported, if need be
    without what is optional. Importing a feed again updates what changed. An import ends after an hour at the
    latest, and says where. Exits 1 when nothing could be imported.
    """
    if not is_subject(merchant):
        raise click.BadParameter(
            f"must be 1 to {SUBJECT_LENGTH_MAX} printable characters, without padding",
            param_hint="--merchant",
        )
    settings = load_settings(default_currency=currency)
    report, halt = ImportReport(), Halt(IMPORT_S_MAX)
    try:
        with io.BufferedReader(io.FileIO(feed), HEAD_BYTES) as stream:
            rows = read_feed(stream, currency=settings.default_currency, halt=halt)
            # The header is read before any server is started, because it is where a feed is most often wrong.
            first = next(rows, None)
            if first is not None:
                asyncio.run(_import(settings, merchant, chain([first], rows), stream, report, halt))
    except FeedError as error:
        _tell(report)
        raise click.ClickException(f"{feed}: {error}") from error
    except sql.MigrationError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot read {feed}: {error.strerror or error}") from error
    _tell(report)
    if report.items_kept == 0:
        raise click.ClickException(f"{feed}: nothing could be imported")


async def _import(
    settings: Settings,
    merchant: str,
    rows: Iterable[FeedRow],
    stream: io.BufferedReader[io.FileIO],
    report: ImportReport,
    halt: Halt,
) -> None:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        async with migrated_database(settings) as with_database:
            with _progress(console) as progress:
                task = progress.add_task("importing", total=_size_bytes(stream), rows=0, rows_s=0.0)
                started_s = time.monotonic()

                def show() -> None:
                    elapsed_s = time.monotonic() - started_s
                    progress.update(
                        task,
                        completed=_position_bytes(stream),
                        rows=report.rows,
                        rows_s=report.rows / elapsed_s if elapsed_s > 0 else 0.0,
                    )

                async with open_pool(
                    with_database, size_max=POOL_SIZE_MAX, application_name="pintuan-import"
                ) as pool:
                    feed_import = FeedImport(
                        pool,
                        merchant,
                        on_bad_row=lambda row: console.print(f"line {row.line}: {row.reason}"),
                        on_note=lambda note: console.print(f"line {note.line}: kept, but {note.text}"),
                        report=report,
                        halt=halt,
                    )
                    with acting(operator("pintuan import")):
                        await feed_import.run(rows, on_batch=show)
    except asyncpg.UndefinedTableError as error:
        raise click.ClickException("the database has no schema yet; run `pintuan migrate`") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _tell(report)
        raise click.ClickException(f"the database failed: {error or type(error).__name__}") from error


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rows_s]:,.0f}/s"),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _size_bytes(stream: io.BufferedReader[io.FileIO]) -> int | None:
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _position_bytes(stream: io.BufferedReader[io.FileIO]) -> int | None:
    """Returns how far the feed was read; None, which shows no change, for a pipe or after the end."""
    return stream.raw.tell() if not stream.closed and stream.seekable() else None


def _tell(report: ImportReport) -> None:
    click.echo(
        f"imported {report.items_kept} of {_count(report.rows, 'row')}: "
        f"{_count(report.products_added, 'product')} added, {report.products_changed} changed; "
        f"{_count(report.items_added, 'item')} added, {report.items_changed} changed, "
        f"{report.items_unchanged} as before; {_count(report.bad_rows, 'row')} refused"
    )
    if report.products_hidden:
        click.echo(
            f"{_count(report.products_hidden, 'product')} hidden from shoppers: "
            "the feed says draft, archived or unpublished"
        )
    if report.currency_assumed is not None:
        click.echo(
            f"where the feed names no currency, its prices were taken for {report.currency_assumed} "
            "(--currency says otherwise)"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
