"""A marketplace as an operator runs it: `pintuan up` and the other commands, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest

from tests.waiting import until

START_S_MAX = 60.0
STOP_S_MAX = 40.0
"""Each stage of a stop may take ten seconds before it is killed; there are four."""
COMMAND_S_MAX = 60.0
ROLL_S_MAX = 120.0
RECOVERY_S_MAX = 60.0
SHOW_S_MAX = 200.0
"""A demo takes as long as its groups do."""
CALL_TIMEOUT_S = 30.0
CONNECTIONS_MAX = 200
READY = "Pintuan is ready at "
ROLLED = "Pintuan runs on "
DATA_DIR_VARIABLE = "PINTUAN_DATA_DIR"
PLAIN_HTTP = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak no TLS: to read the certificates of the world takes longer than many a call."""
PINTUAN = (sys.executable, "-m", "pintuan")
COMMAND_LINES = {
    "api": "api_process",
    "worker": "-m workers",
    "redis": "redis-server",
    "postgres": "bin/postgres",
    "postgres backend": "postgres: ",
}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Running:
    """One `pintuan up` that printed its ready line."""

    process: asyncio.subprocess.Process
    url: str

    def client(self) -> httpx.AsyncClient:
        """A client of its API, for many calls at once."""
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        return httpx.AsyncClient(
            base_url=self.url, timeout=CALL_TIMEOUT_S, limits=limits, trust_env=False, verify=PLAIN_HTTP
        )

    def family(self) -> list[psutil.Process]:
        """Every process below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def processes(self, name: str) -> list[psutil.Process]:
        """The processes that do the job of this name, one of `COMMAND_LINES`."""
        return [process for process in self.family() if COMMAND_LINES[name] in _command_line(process)]

    async def kill_one(self, name: str) -> None:
        """Ends one process of this job by SIGKILL, waits for its successor and for the API to be ready."""

        async def is_there() -> bool:
            return bool(self.processes(name))

        async def is_replaced() -> bool:
            return not living([victim]) and len(self.processes(name)) >= count

        # A worker that ended with its Redis may be on its way back.
        await until(is_there, within_s=RECOVERY_S_MAX)
        victim = self.processes(name)[0]
        count = len(self.processes(name)) if name != "postgres backend" else 1
        victim.kill()
        await until(is_replaced, within_s=RECOVERY_S_MAX)
        await self.until_ready()

    async def until_ready(self) -> None:
        """Waits until the API says so; connections are new ones, so that any of its processes may answer."""
        await until(self._is_ready, within_s=RECOVERY_S_MAX)

    async def kill(self) -> None:
        """Ends the supervisor by SIGKILL and waits until it is gone, though not its children."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """Sends SIGTERM and answers the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S_MAX):
            return await self.process.wait()

    async def roll(self) -> None:
        """Sends SIGHUP and waits until every child has been replaced."""
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(ROLL_S_MAX):
            line = (await self.process.stdout.readline()).decode()
        assert line.startswith(ROLLED), line

    async def _is_ready(self) -> bool:
        async with self.client() as client:
            try:
                return (await client.get("/health/ready")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False


@dataclass
class Site:
    """A data directory and a port, on which marketplaces run one after the other."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    _started: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What the marketplaces and their children said on stderr."""
        return self.data_dir.with_suffix(".stderr")

    async def spawn(self, *options: str, **environ: str) -> asyncio.subprocess.Process:
        """Starts `pintuan up` and waits for nothing."""
        with self.log.open("ab") as errors:
            return await self._start(self._up_command(options), environ, stderr=errors)

    async def up(self, *options: str, **environ: str) -> Running:
        """Starts `pintuan up` and waits for its ready line."""
        process = await self.spawn(*options, **environ)
        assert process.stdout is not None
        async with asyncio.timeout(START_S_MAX):
            line = (await process.stdout.readline()).decode()
        if not line.startswith(READY):
            pytest.fail(f"no ready line but {line!r} and {self.log.read_text()}")
        return Running(process, line.removeprefix(READY).strip())

    async def up_refused(self, *options: str, **environ: str) -> Outcome:
        """Starts `pintuan up` where it cannot start, and waits until it has given up."""
        return await self._finish(self._up_command(options), environ, within_s=START_S_MAX)

    async def show(self, *options: str) -> Outcome:
        """Runs `pintuan demo` to its end."""
        return await self._finish((*PINTUAN, "demo", *options), {}, within_s=SHOW_S_MAX)

    async def tokens(self, role: str, subject: str, count: int = 1, **environ: str) -> list[str]:
        """Tokens as `pintuan token` prints them."""
        wanted = ("--role", role, "--subject", subject, "--count", str(count))
        outcome = await self.run("token", *wanted, **environ)
        assert outcome.status == 0, outcome.errors
        return outcome.output.split()

    async def assert_sound(self, **environ: str) -> None:
        """Fails with the offenders when `pintuan audit` finds one."""
        outcome = await self.run("audit", "--json", **environ)
        report: dict[str, Any] = json.loads(outcome.output or "{}")
        broken = [check for check in report.get("checks", []) if check["offenders"]]
        assert outcome.status == 0, f"{broken} {outcome.errors}"

    async def run(self, *arguments: str, **environ: str) -> Outcome:
        """Runs another `pintuan` command on the data directory."""
        return await self._finish((*PINTUAN, *arguments), environ, within_s=COMMAND_S_MAX)

    async def shell(self, script: str) -> Outcome:
        """Runs a script of an operator, in which `pintuan` finds the data directory by itself."""
        command = ("bash", "-euo", "pipefail", "-c", script)
        return await self._finish(command, {}, within_s=COMMAND_S_MAX)

    async def close(self) -> None:
        """Ends whatever a failing test left running."""
        for process in self._started:
            if process.returncode is None:
                process.terminate()
        for process in self._started:
            await asyncio.wait_for(process.communicate(), STOP_S_MAX)

    def leftovers(self) -> list[str]:
        """Command lines of living processes that know of the data directory."""
        return [
            _command_line(process)
            for process in psutil.process_iter()
            if str(self.data_dir) in _command_line(process) + _variable(process, DATA_DIR_VARIABLE)
        ]

    def running(self) -> dict[str, Any]:
        """How to reach the stores of the marketplace that runs."""
        found: dict[str, Any] = json.loads((self.data_dir / "run.json").read_text())
        return found

    def _up_command(self, options: tuple[str, ...]) -> tuple[str, ...]:
        return (*PINTUAN, "up", "--port", str(self.port), *options)

    async def _finish(self, command: tuple[str, ...], environ: dict[str, str], *, within_s: float) -> Outcome:
        process = await self._start(command, environ, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(within_s):
            output, errors = await process.communicate()
        assert process.returncode is not None
        return Outcome(process.returncode, output.decode(), errors.decode())

    async def _start(
        self, command: tuple[str, ...], environ: dict[str, str], *, stderr: IO[bytes] | int
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, DATA_DIR_VARIABLE: str(self.data_dir), **environ},
        )
        self._started.append(process)
        return process


async def open_deal(client: httpx.AsyncClient, merchant: str, **terms: Any) -> str:
    """Makes a product at 10.00 USD and a deal on it; `merchant` is a token. Answers the deal's id."""
    headers = {"Authorization": f"Bearer {merchant}"}
    variant = {"sku": "tea", "title": "Tea", "list_price": {"amount": 1000, "currency": "USD"}}
    product = await client.post("/v1/products", json={"title": "Tea", "variants": [variant]}, headers=headers)
    assert product.status_code == httpx.codes.CREATED, product.text
    terms = {"variant_id": product.json()["variants"][0]["id"]} | terms
    deal = await client.post("/v1/deals", json=terms, headers=headers)
    assert deal.status_code == httpx.codes.CREATED, deal.text
    return str(deal.json()["id"])


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended; one that nobody has asked for its status yet has."""
    return [process for process in processes if _is_living(process)]


def _is_living(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _variable(process: psutil.Process, name: str) -> str:
    try:
        return process.environ().get(name, "")
    except psutil.Error:
        return ""
