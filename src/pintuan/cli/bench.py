"""`pintuan bench`: measures the marketplace on this machine."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

KIT = "benchmarks"
# The parts of the extra that the kit needs.
NEEDED = ("hdrh", "psutil")


@click.command(no_args_is_help=True)
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1)
@click.option("--runs", type=int, help="Interleaved repetitions.  [default: 7, of quick runs 3]")
@click.option("--quick", is_flag=True, help="Short phases: shows that all works, its figures say little.")
@click.option("--connections", type=int, help="Connections of a closed loop.  [default: 128]")
@click.option("--out", help="Where result.json and report.html go.  [default: bench-results]")
def command(
    *, scenarios: tuple[str, ...], runs: int | None, quick: bool, connections: int | None, out: str | None
) -> None:
    """Measure the marketplace on this machine, next to its goals.

    Starts stores, servers and load of its own, and leaves the ones you have alone. SCENARIO is one or more of
    flash, lifecycle, links, stampede, refused, overload, watch, grow, pages, neighbours, or all. Exits 1 when
    the audit after a scenario finds a broken invariant.
    """
    if find_spec(KIT) is None:
        raise click.ClickException(
            "this installation has no load kit; images of the application leave it out"
        )
    missing = [module for module in NEEDED if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"the load kit needs {' and '.join(missing)}; install the extra: pip install 'pintuan[bench]'"
        )
    given = {"--runs": runs, "--connections": connections, "--out": out}
    options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    kit = [sys.executable, "-m", KIT, *options, *(["--quick"] if quick else []), *scenarios]
    # A program beside the application; it takes this process' place, so that a Ctrl-C reaches it once.
    sys.stdout.flush()
    os.execv(kit[0], kit)  # noqa: S606 - there is no shell here on purpose: arguments are passed as they are.
