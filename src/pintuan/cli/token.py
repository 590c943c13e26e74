"""`pintuan token`: prints access tokens for trying things out, for tests and for load."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, cast

import click

from pintuan.base.auth.principal import ROLES, SUBJECT_LENGTH_MAX, Role, is_own_subject
from pintuan.base.auth.tokens import LIFETIME_S, TokenIssuer
from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import load_settings

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings

COUNT_MAX: Final = 100_000
CLOCK_TIMEOUT_S: Final = 1.0
_LIFETIME_MINUTES_MAX: Final = LIFETIME_S // 60


@click.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the caller may do.")
@click.option(
    "--subject", "subject", required=True, help="The caller's name; numbered when there are several."
)
@click.option("--count", type=click.IntRange(1, COUNT_MAX), default=1, show_default=True, help="How many.")
@click.option(
    "--ttl-minutes",
    "lifetime_minutes",
    type=click.IntRange(1, _LIFETIME_MINUTES_MAX),
    default=_LIFETIME_MINUTES_MAX,
    show_default=True,
    help="How long they are valid.",
)
def command(*, role: str, subject: str, count: int, lifetime_minutes: int) -> None:
    """Print access tokens, one a line; with --count N for SUBJECT-0 to SUBJECT-(N-1)."""
    names = [subject] if count == 1 else [f"{subject}-{number}" for number in range(count)]
    if not (is_own_subject(subject) and is_own_subject(names[-1])):
        raise click.BadParameter(
            f"must be 1 to {SUBJECT_LENGTH_MAX} printable characters, its number included,"
            " without padding or |",
            param_hint="--subject",
        )
    settings = load_settings()
    issuer = TokenIssuer(keyring_of(settings))
    now_s = asyncio.run(_server_now_s(settings))
    lifetime_s = lifetime_minutes * 60
    tokens = (issuer.issue(name, cast("Role", role), now_s=now_s, lifetime_s=lifetime_s) for name in names)
    click.echo("\n".join(tokens))


async def _server_now_s(settings: Settings) -> float:
    """Returns Postgres' time in Unix seconds, or this machine's when no Postgres answers soon.

    The API judges tokens by Postgres' clock, which may be on another machine. Without a marketplace running
    the token will meet a Postgres of this machine. A simulated or shifted clock plays no part.
    """
    url = settings.database_url or _url_of_running(settings)
    if url is None:
        return time.time()
    # Imported only when there is a server to ask.
    import asyncpg

    from pintuan.base.clock import read_server_time

    try:
        async with asyncio.timeout(CLOCK_TIMEOUT_S):
            connection = await asyncpg.connect(url, timeout=CLOCK_TIMEOUT_S)
            try:
                now_s = await read_server_time(connection)
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        click.echo(f"Postgres did not tell the time, using this machine's: {type(error).__name__}", err=True)
        return time.time()
    return now_s


def _url_of_running(settings: Settings) -> str | None:
    from pintuan.base.stores.embedded.data_directory import DataDirectory

    running = DataDirectory(settings.data_dir).running()
    return running.database_url if running else None
