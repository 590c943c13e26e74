"""The `pintuan` command. Each subcommand is a module with a `command`, imported only when it is called.

Exit codes: 0 done, 1 an expected failure told in one line, 2 wrong usage, 130 interrupted. `audit` keeps 1
for a broken promise, and exits 3 where it could not look.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

INTERRUPTED_EXIT_CODE = 130


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand lives, and its line in `pintuan --help`, which must not import them all."""

    module: str
    summary: str


SUBCOMMANDS = {
    "up": Subcommand("pintuan.cli.up", "Run the marketplace: stores, API and workers."),
    "migrate": Subcommand("pintuan.cli.migrate", "Bring the database's schema up to date."),
    "token": Subcommand("pintuan.cli.token", "Print access tokens."),
    "grant": Subcommand("pintuan.cli.grant", "Give somebody a role."),
    "keys": Subcommand("pintuan.cli.keys", "End a merchant's API keys and sessions."),
    "fee": Subcommand("pintuan.cli.fee", "Set the platform's part of what a merchant sells."),
    "import": Subcommand("pintuan.cli.import_feed", "Import a product feed."),
    "demo": Subcommand("pintuan.cli.demo", "Fill a running marketplace with live shoppers."),
    "bench": Subcommand("pintuan.cli.bench", "Measure the marketplace on this machine."),
    "chaos": Subcommand("pintuan.cli.chaos", "Harm a marketplace and check that it keeps its promises."),
    "audit": Subcommand("pintuan.cli.audit", "Check every invariant over all data."),
    "activity": Subcommand("pintuan.cli.activity", "List who changed what."),
    "payments": Subcommand("pintuan.cli.payments", "See payments that were given up, and mend them."),
    "doctor": Subcommand(
        "pintuan.cli.doctor", "Say what is wrong with this installation and how to mend it."
    ),
}


class PintuanGroup(click.Group):
    """Finds subcommands by name, and ends every expected failure with one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature.
        """Returns the names, most used first."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature.
        """Imports a subcommand; None for a name there is not."""
        subcommand = SUBCOMMANDS.get(cmd_name)
        if subcommand is None:
            return None
        command = import_module(subcommand.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{subcommand.module}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature.
        """Lists the subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, subcommand.summary) for name, subcommand in SUBCOMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand; a bad setting exits 1 and Ctrl-C 130, neither with a traceback."""
        _let_every_letter_through()
        # Imported here so that `--version` and `--help` stay instant.
        from pintuan.base.settings.settings import SettingsError

        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED_EXIT_CODE)


def _let_every_letter_through() -> None:
    """Writes letters that the terminal has no code for as escapes; the command would else end midway."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@click.group(cls=PintuanGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pintuan", message="%(prog)s %(version)s")
def main() -> None:
    """Pintuan: a group-buying marketplace. Settings are PINTUAN_… variables; `pintuan doctor` lists them."""
