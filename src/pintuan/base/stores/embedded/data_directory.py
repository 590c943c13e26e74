"""The data directory of one marketplace: who uses it, where its parts lie, and how to reach its servers.

lock        held by whoever runs the marketplace, or servers for a moment; has its process id until it ends
run.json    how to reach the marketplace that runs, written by its supervisor
postgres/ redis/ metrics/ log/ secret_key
"""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pintuan.base.stores.embedded.process import EmbeddedError, try_lock

LOCK_WAIT_S_MAX = 1.0
"""Longer than any probe of `running` holds the lock."""
LOCK_POLL_S = 0.02
PROCESS_ID_SIZE_MAX = 32


class RunningMarketplace(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a marketplace that a supervisor runs; `pid` is the supervisor's."""

    pid: int
    database_url: str
    redis_url: str
    http_url: str


class DataDirectory:
    """The directory at `path`, made when it is first locked.

    `after_crash` says, once locked, whether the holder before us ended without letting go.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.after_crash = False
        self.postgres = self.path / "postgres"
        self.redis = self.path / "redis"
        self.metrics = self.path / "metrics"
        self.run_file = self.path / "run.json"
        self._lock_file = self.path / "lock"

    def log(self, name: str) -> Path:
        """The log of the process of this name."""
        return self.path / "log" / f"{name}.log"

    def keep_private(self) -> None:
        """Lets nobody else look into logs and metrics, also where an older version did. Raises OSError."""
        for directory in (self.metrics, self.log("any").parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            for file in directory.iterdir():
                file.chmod(0o600)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other process off the directory for the life of the block.

        Raises EmbeddedError when another process has it, which the message names, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EmbeddedError(f"cannot use the data directory {self.path}: {error.strerror}") from error
        try:
            self._take(descriptor)
            try:
                yield
            finally:
                os.truncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def running(self) -> RunningMarketplace | None:
        """How to reach the marketplace that runs here, or None when none does."""
        try:
            found = msgspec.json.decode(self.run_file.read_bytes(), type=RunningMarketplace)
        except (OSError, msgspec.DecodeError):
            # Absent, or left by a version that wrote something else: nothing to attach to either way.
            return None
        return found if self._holder() == found.pid else None

    def publish(self, running: RunningMarketplace) -> None:
        """Says how to reach the marketplace, in one step so that nobody reads half of it. Raises OSError."""
        draft = self.run_file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(running))
        draft.chmod(0o600)
        draft.replace(self.run_file)

    def withdraw(self) -> None:
        """Takes back what `publish` said, if anything. Raises OSError."""
        self.run_file.unlink(missing_ok=True)

    def _take(self, descriptor: int) -> None:
        for _ in range(round(LOCK_WAIT_S_MAX / LOCK_POLL_S)):
            if try_lock(descriptor):
                break
            time.sleep(LOCK_POLL_S)
        else:
            holder = _process_id(descriptor)
            by = f"process {holder}" if holder else "another process"
            raise EmbeddedError(f"the data directory {self.path} is in use by {by}; stop it or name another")
        self.after_crash = _process_id(descriptor) is not None
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise EmbeddedError(
                f"cannot write to the data directory {self.path}: {error.strerror}"
            ) from error

    def _holder(self) -> int | None:
        with contextlib.suppress(OSError):
            descriptor = os.open(self._lock_file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return None if try_lock(descriptor) else _process_id(descriptor)
            finally:
                os.close(descriptor)
        return None


def _process_id(descriptor: int) -> int | None:
    text = os.pread(descriptor, PROCESS_ID_SIZE_MAX, 0).strip()
    return int(text) if text.isdigit() else None
