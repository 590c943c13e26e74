"""What every scenario runs on: fresh stores, and API processes and workers as the supervisor starts them.

async with open_stores(directory, settings) as stores:      Postgres and Redis, migrated, on their own core
    async with serving(stores, workers=1) as servers:       an API process with the baselines, and a worker
        outcome, cpu = await servers.load(phase)            a load process of its own, and the CPU it caused
    audit = await stores.audit()                            what `pintuan audit` says
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from benchmarks.cores import Cores, pinned, split_cores
from benchmarks.cpu import Cpu, cpu_s
from benchmarks.load_process import loaded
from benchmarks.result import Audit
from benchmarks.statements import kit_statements
from pintuan.base.settings.settings import Settings, load_settings
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.embedded.process import ChildCommand
from pintuan.running.supervisor.children import API_STOP_STEPS, WORKER_STOP_STEPS, PythonProcess
from pintuan.running.supervisor.environment import child_environment
from pintuan.running.supervisor.listener import listen
from sql import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from benchmarks.generate import Outcome, Phase

HOST: Final = "127.0.0.1"
START_WAIT_S: Final = 30.0
AUDIT_WAIT_S: Final = 300.0
# What differs from the defaults: a run must not depend on the machine's own settings.
SETTINGS: Final = {
    "PINTUAN_ENV": "production",
    "PINTUAN_PAYMENT_GATEWAY": "sandbox",
    "PINTUAN_PUBLIC_URL": "https://bench.example",
    "PINTUAN_QUIET_HOURS": "off",
}
_BROKEN_EXIT_CODE: Final = 1


class AuditError(Exception):
    """`pintuan audit` could not be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Running stores, and how processes find them."""

    directory: Path
    cores: Cores
    settings: Settings
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis

    @property
    def secret_key(self) -> str:
        """What signs the tokens of this run."""
        return self.settings.resolve_secret_key()

    def environment(self, *, public_url: str | None = None) -> dict[str, str]:
        """What a process of ours is told; addresses of processes started with the same metrics add up."""
        metrics = self.directory / "metrics"
        metrics.mkdir(exist_ok=True)
        settings = self.settings
        if public_url is not None:
            settings = msgspec.structs.replace(settings, public_url=public_url)
        return child_environment(settings, metrics)

    async def connect(self) -> asyncpg.Connection:
        """Opens a connection to Postgres for the kit itself; the caller closes it."""
        return await asyncpg.connect(self.postgres.url, timeout=START_WAIT_S, command_timeout=AUDIT_WAIT_S)

    async def analyse(self) -> None:
        """Brings the planner's statistics up to date, so that nothing depends on when autovacuum comes."""
        connection = await self.connect()
        try:
            await connection.execute(kit_statements("stores")["analyse"])
        finally:
            await connection.close()

    async def audit(self) -> Audit:
        """Runs `pintuan audit` over everything. Raises AuditError when it did not come to a verdict."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pintuan", "audit"),
            env=self.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(AUDIT_WAIT_S):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        lines = tuple(output.decode().splitlines())
        if process.returncode not in (0, _BROKEN_EXIT_CODE) or not lines:
            raise AuditError(f"the audit exited with {process.returncode}: {errors.decode().strip()}")
        return Audit(process.returncode == 0, lines)


@dataclass(frozen=True, slots=True)
class Servers:
    """Running API processes, all on one port, and workers."""

    stores: Stores
    port: int
    api_process_ids: tuple[int, ...]
    worker_process_ids: tuple[int, ...]

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{HOST}:{self.port}"

    def cpu(self) -> Cpu:
        """CPU seconds used so far."""
        return Cpu(
            cpu_s(self.api_process_ids),
            cpu_s(_process_ids(self.stores.redis)),
            cpu_s(_process_ids(self.stores.postgres)),
            cpu_s(self.worker_process_ids),
        )

    async def load(self, phase: Phase) -> tuple[Outcome, Cpu]:
        """Makes the calls of `phase` from a process of its own; returns what came of them and what it cost.

        The cost counts from when all connections are made to the last answer. Raises LoadError.
        """
        async with loaded(phase, self.stores.cores.load) as load:
            before = self.cpu()
            outcome = await load.run()
            return outcome, self.cpu() - before


@asynccontextmanager
async def open_stores(directory: Path, settings: dict[str, str] | None = None) -> AsyncIterator[Stores]:
    """Starts fresh stores in `directory`, which must hold none; `settings` are variables for all processes.

    Raises EmbeddedError, MigrationError and SettingsError.
    """
    cores = split_cores()
    postgres, redis = EmbeddedPostgres(directory / "postgres"), EmbeddedRedis(directory / "redis")
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory / "metrics", ignore_errors=True)
        for server in (postgres, redis):
            server.prepare()
            with pinned(cores.servers):
                await server.start()
            stack.push_async_callback(server.stop)
            await server.wait_ready()
        await migrate(postgres.url)
        variables = {
            "PINTUAN_DATABASE_URL": postgres.url,
            "PINTUAN_REDIS_URL": redis.url,
            "PINTUAN_DATA_DIR": str(directory),
            "PINTUAN_SECRET_KEY": secrets.token_hex(32),
            # All of a run's load comes from one address.
            "PINTUAN_CONNECTIONS_PER_ADDRESS": "100000",
            **SETTINGS,
            **(settings or {}),
        }
        yield Stores(directory, cores, load_settings(variables), postgres, redis)


@asynccontextmanager
async def serving(stores: Stores, *, api_processes: int = 1, workers: int = 0) -> AsyncIterator[Servers]:
    """Runs API processes and workers for the life of the block, on the servers' cores.

    Raises NeverReadyError when one does not start; its log is in the stores' directory.
    """
    listener = await listen(HOST, 0, after_crash=False)
    port: int = listener.getsockname()[1]
    environment = stores.environment(public_url=f"https://{HOST}:{port}")
    api = [sys.executable, "-m", "benchmarks.api_process", "--fd", str(listener.fileno())]
    commands = [
        *(
            (_command(stores, f"api-{n}", api, environment, listener.fileno()), API_STOP_STEPS)
            for n in range(api_processes)
        ),
        *(
            (
                _command(stores, f"worker-{n}", [sys.executable, "-m", "workers"], environment),
                WORKER_STOP_STEPS,
            )
            for n in range(workers)
        ),
    ]
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        processes = []
        for command, stop_steps in commands:
            process = PythonProcess(command, stop_steps)
            stack.push_async_callback(process.stop)
            with pinned(stores.cores.servers):
                await process.start_serving(START_WAIT_S)
            processes.append(process)
        ids = [process.pid for process in processes if process.pid is not None]
        yield Servers(stores, port, tuple(ids[:api_processes]), tuple(ids[api_processes:]))


def _command(
    stores: Stores, name: str, arguments: Sequence[str], environment: dict[str, str], *fds: int
) -> ChildCommand:
    return ChildCommand(
        arguments=list(arguments),
        environ=environment,
        log=stores.directory / "log" / f"{name}.log",
        pass_fds=fds,
    )


def _process_ids(server: EmbeddedPostgres | EmbeddedRedis) -> tuple[int, ...]:
    return () if server.pid is None else (server.pid,)
