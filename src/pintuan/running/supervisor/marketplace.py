"""A running marketplace: the order in which its parts start and stop, and what ends it."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

import sql
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.doorbells import QueueAwayError, check_queue
from pintuan.base.stores.durability import check_durability
from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.base.stores.embedded.data_directory import DataDirectory, RunningMarketplace
from pintuan.base.stores.neighbours import require_own_redis
from pintuan.base.stores.redis import placement_url
from pintuan.base.stores.restored import forget_what_was_undone
from pintuan.base.telemetry.metrics import forget_process
from pintuan.base.telemetry.tracing import require_sdk
from pintuan.running.cautions import of_connections, warnings
from pintuan.running.supervisor.children import PythonProcess, api_process, demo_process, worker_process
from pintuan.running.supervisor.environment import child_environment
from pintuan.running.supervisor.errors import NotReadyError
from pintuan.running.supervisor.keeper import Keeper, Restartable, ending
from pintuan.running.supervisor.listener import listen, url_of
from pintuan.running.supervisor.readiness import NeverReadyError
from pintuan.running.supervisor.signals import Signals

READY_WAIT_S_MAX = 60.0
READY_POLL_S = 0.05
READY_CALL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The processes to run. With `log_to_files` the children's output leaves the terminal to
    somebody else.
    """

    settings: Settings
    host: str
    api_workers: int
    workers: int
    demo: bool
    log_to_files: bool

    @property
    def operator_port(self) -> int | None:
        """Where the operator's endpoints are served on their own; None where the API's port is enough."""
        return self.settings.metrics_port or (None if self.api_workers else self.settings.http_port)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports to listen on: first the API's, if there is one, last the operator's own, if any."""
        api = (self.settings.http_port,) if self.api_workers else ()
        return api if self.operator_port is None else (*api, self.operator_port)


class Marketplace:
    """Starts everything, keeps it alive, and stops it in order.

    `announce` gets the lines meant for the user, `report` those about trouble.
    """

    def __init__(self, plan: Plan, *, announce: Callable[[str], None], report: Callable[[str], None]) -> None:
        self._plan = plan
        self._announce = announce
        self._report = report
        self._directory = DataDirectory(plan.settings.data_dir)
        self._signals = Signals()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners: list[socket.socket] = []
        # How to make another child like those of a keeper, in the order in which they are replaced.
        self._makers: list[tuple[str, Callable[[], PythonProcess]]] = []
        self._stages: list[list[Keeper]] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._demo: PythonProcess | None = None

    async def run(self) -> None:
        """Runs until a stop signal, then drains.

        Raises EmbeddedError, SettingsError, sql.MigrationError, OSError or SupervisorError when it cannot
        start, and CrashLoopError also later; everything is stopped by then.
        """
        with self._signals.installed(), self._directory.locked():
            try:
                await self._run_until_stopped()
            finally:
                await self._drain()

    async def _run_until_stopped(self) -> None:
        boot = asyncio.create_task(self._boot())
        stop = asyncio.create_task(self._signals.stop.wait())
        rolling = asyncio.create_task(self._roll_when_asked(boot))
        try:
            ends: set[asyncio.Future[Any]] = {stop, self._failure, rolling}
            await asyncio.wait({boot, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if boot.done():
                boot.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._failure, rolling):
                if ended.done():
                    ended.result()
        finally:
            for task in (boot, stop, rolling):
                task.cancel()
            await asyncio.gather(boot, stop, rolling, return_exceptions=True)

    async def _boot(self) -> None:
        plan = self._plan
        self._directory.withdraw()
        # First of all, because a taken port is the likeliest trouble and should show at once.
        for port in plan.ports:
            self._listeners.append(await listen(plan.host, port, after_crash=self._directory.after_crash))
        url = url_of(plan.host, plan.ports[0])
        settings = await self._start_servers()
        # Before anything is written, and because these name the variable that is wrong.
        placement_url(settings)
        require_sdk(settings)
        found = await check_durability(settings)
        for line in warnings(of_connections(int(found["max_connections"]), plan.api_workers, plan.workers)):
            self._report(line)
        try:
            await check_queue(settings)
        except QueueAwayError as away:
            # A node that starts in an outage of the queue is worth more than one that waits for its end.
            self._report(f"{away}; it starts without, and work begins up to a second later")
        await sql.migrate(_set(settings.database_url), on_newer=lambda names: self._report(sql.beside(names)))
        for line in await require_own_redis(settings):
            self._report(line)
        if await forget_what_was_undone(settings):
            self._report("Postgres is at an earlier state than Redis remembers; every lane is rebuilt")
        await self._start_children(settings)
        for port in plan.ports:
            await self._wait_ready(url_of(plan.host, port))
        for keeper in self._keepers():
            keeper.booted()
        self._directory.publish(
            RunningMarketplace(
                pid=os.getpid(),
                database_url=_set(settings.database_url),
                redis_url=_set(settings.redis_url),
                http_url=url,
            )
        )
        self._announce(f"Pintuan is ready at {url}")
        if plan.demo:
            await self._run_demo(settings)

    async def _start_servers(self) -> Settings:
        """Starts an embedded server for each URL that is missing; answers the settings with both URLs."""
        settings = msgspec.structs.replace(self._plan.settings, data_dir=self._directory.path)
        if settings.database_url is None:
            postgres = EmbeddedPostgres(self._directory.postgres, log=self._directory.log("postgres"))
            postgres.prepare()
            await self._start_stage([("postgres", postgres)])
            settings = msgspec.structs.replace(settings, database_url=postgres.url)
        if settings.redis_url is None:
            redis = EmbeddedRedis(self._directory.redis, log=self._directory.log("redis"))
            redis.prepare()
            await self._start_stage([("redis", redis)])
            settings = msgspec.structs.replace(settings, redis_url=redis.url)
        return settings

    async def _start_children(self, settings: Settings) -> None:
        shutil.rmtree(self._directory.metrics, ignore_errors=True)
        self._directory.keep_private()
        environ = child_environment(settings, self._directory.metrics)
        workers = [
            (name, partial(worker_process, environ, self._log(name)))
            for name in _numbered("worker", self._plan.workers)
        ]
        apis = [
            (name, partial(api_process, self._listeners[0], environ, self._log(name)))
            for name in _numbered("api", self._plan.api_workers)
        ]
        if self._plan.operator_port is not None:
            log = self._log("operator")
            serve = partial(
                api_process,
                self._listeners[-1],
                environ,
                log,
                operator_only=True,
                watches_workers=self._plan.workers > 0,
            )
            apis.append(("operator", serve))
        # A new worker answers what an old API rings for, and not always the other way round.
        self._makers = [*workers, *apis]
        for stage in (workers, apis):
            await self._start_stage([(name, make()) for name, make in stage])

    async def _start_stage(self, named: Sequence[tuple[str, Restartable]]) -> None:
        """Starts processes that are stopped together; stages stop in the opposite order of their start."""
        keepers = [
            Keeper(name, process, report=self._report, died=self._forget_metrics) for name, process in named
        ]
        self._stages.append(keepers)
        for keeper in keepers:
            await keeper.start()
            task = asyncio.create_task(keeper.keep())
            task.add_done_callback(self._kept)
            self._keeping.append(task)

    async def _wait_ready(self, url: str) -> None:
        answer = "no answer"
        try:
            async with (
                asyncio.timeout(READY_WAIT_S_MAX),
                httpx.AsyncClient(timeout=READY_CALL_TIMEOUT_S, trust_env=False) as client,
            ):
                while True:
                    try:
                        response = await client.get(f"{url}/health/ready")
                        answer = f"{response.status_code} {response.text}"
                        if response.is_success:
                            return
                    except httpx.TransportError as error:
                        # An API process that died while answering; its successor is on its way.
                        answer = str(error) or type(error).__name__
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise NotReadyError(f"the API was not ready in {READY_WAIT_S_MAX:.0f} s: {answer}") from None

    async def _roll_when_asked(self, boot: asyncio.Task[None]) -> None:
        """Replaces the children, one after the other, each time somebody asks; after the start."""
        await asyncio.wait({boot})
        while True:
            await self._signals.roll.wait()
            self._signals.roll.clear()
            await self._roll()

    async def _roll(self) -> None:
        keepers = {keeper.name: keeper for keeper in self._keepers()}
        for name, make in self._makers:
            try:
                await keepers[name].replace(make())
            except (NeverReadyError, OSError) as error:
                self._report(f"the new {name} {error}; the old one stays, and so do those after it")
                return
        self._announce(f"Pintuan runs on {len(self._makers)} new processes")

    async def _run_demo(self, settings: Settings) -> None:
        """Runs the demo to its end; the marketplace goes on without it."""
        self._demo = demo_process(child_environment(settings, self._directory.metrics))
        await self._demo.start()
        status = await self._demo.wait()
        if status != 0:
            self._report(f"the demo {ending(status)}; the marketplace goes on")

    async def _drain(self) -> None:
        """Stops everything: first what lets work in, last what remembers it. Bounded; stops all it can."""
        self._directory.withdraw()
        for listener in self._listeners:
            listener.close()
        if self._demo:
            await self._demo.stop()
        for stage in reversed(self._stages):
            stopping = [keeper.stop(self._signals.hurry) for keeper in stage]
            for keeper, outcome in zip(
                stage, await asyncio.gather(*stopping, return_exceptions=True), strict=True
            ):
                if isinstance(outcome, BaseException):
                    self._report(f"{keeper.name} could not be stopped: {outcome or type(outcome).__name__}")
        await asyncio.gather(*self._keeping, return_exceptions=True)

    def _kept(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error and not self._failure.done():
            self._failure.set_exception(error)

    def _keepers(self) -> list[Keeper]:
        return [keeper for stage in self._stages for keeper in stage]

    def _forget_metrics(self, pid: int) -> None:
        forget_process(self._directory.metrics, pid)

    def _log(self, name: str) -> Path | None:
        return self._directory.log(name) if self._plan.log_to_files else None


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number + 1}" for number in range(count)]


def _set(url: str | None) -> str:
    if url is None:
        raise RuntimeError("a server's URL is set once it has started")
    return url
