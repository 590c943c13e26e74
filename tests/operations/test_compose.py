"""compose.yaml says what an engine understands, what `pintuan` takes, and no secret."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest

from pintuan.base.settings.settings import SETTINGS, load_settings
from pintuan.base.stores.durability import POSTGRES_REQUIRED
from pintuan.cli import main
from tests.documents import PROJECT
from tests.marketplace import STOP_S_MAX
from tests.operations.composition import (
    COMPOSE,
    SECRETS,
    VARIABLE,
    MissingVariable,
    compose,
    ours,
    seconds,
    services,
)
from tests.operations.watching import PROMETHEUS, read_yaml

LOOPBACK = "127.0.0.1:"
VALIDATION_TIMEOUT_S = 60
COMPOSED = {
    "PINTUAN_DATA_DIR",
    "PINTUAN_EMBEDDED_STORES",
    "PINTUAN_HTTP_PORT",
    "PINTUAN_METRICS_PORT",
    "PINTUAN_CLOCK_OFFSET_MS",
    "PINTUAN_SIM_OFFSET_MS",
    "PINTUAN_RATE_LIMITS",
    "PINTUAN_STRIPE_API_BASE",
}
"""What the image or the options fix, and what production refuses."""


def parsed(service: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The subcommand a service runs and the options it gets; raises click.UsageError for one there is not."""
    name, *arguments = service["command"]
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    return name, command.make_context(name, list(arguments)).params


def test_it_follows_the_schema_of_the_compose_specification() -> None:
    outcome = subprocess.run(  # noqa: S603 - the arguments are this file's own.
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=VALIDATION_TIMEOUT_S,
    )
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_what_has_no_default(name: str) -> None:
    with pytest.raises(MissingVariable, match=name):
        compose({**SECRETS, name: ""})


def test_no_secret_is_written_down() -> None:
    for name, kind, _ in VARIABLE.findall(COMPOSE.read_text()):
        if name in SECRETS:
            assert kind == "?", f"{name} has a default"
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "SECRET" in variable or variable.endswith("AUTH"):
                assert value in {*SECRETS.values(), ""}, f"{name}: {variable}"


@pytest.mark.parametrize("name", ours())
def test_our_settings_exist_and_are_those_of_production(name: str) -> None:
    environ = ours()[name]["environment"]
    assert set(environ) <= {setting.variable for setting in SETTINGS}
    settings = load_settings(environ)
    assert settings.env == "production"
    assert settings.database_url is not None
    assert settings.redis_url is not None


def test_every_setting_can_be_set_or_is_the_compositions_own() -> None:
    settable = {setting.variable for setting in SETTINGS} - COMPOSED
    assert settable - set(ours()["api"]["environment"]) == set(), "compose.yaml does not pass these on"


@pytest.mark.parametrize("name", ours())
def test_our_commands_take_their_options(name: str) -> None:
    subcommand, options = parsed(ours()[name])
    assert subcommand in {"migrate", "up"}
    if subcommand == "up":
        assert options["host"] == "0.0.0.0"  # noqa: S104 - inside the container, where the port is published.


def test_one_service_serves_and_another_works() -> None:
    _, api = parsed(ours()["api"])
    _, worker = parsed(ours()["worker"])
    assert (api["api_workers"] > 0, api["workers"]) == (True, 0)
    assert (worker["api_workers"], worker["workers"] > 0) == (0, True)


def test_our_containers_write_only_where_the_image_lets_them() -> None:
    for service in ours().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert any(mount.startswith("/var/lib/pintuan:uid=10001,") for mount in service["tmpfs"])


def test_the_stores_are_durable() -> None:
    postgres, redis = services()["postgres"]["command"], services()["redis"]["command"]
    assert {f"-c{name}=on" for name in POSTGRES_REQUIRED} <= set(postgres)
    options = dict(zip(redis[1::2], redis[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] in {"always", "everysec"}
    assert options["--maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize("name", services())
def test_every_service_is_bounded_pinned_and_comes_back(name: str) -> None:
    service = services()[name]
    _, _, tag = service["image"].rpartition(":")
    assert tag
    assert tag != "latest"
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= set(limits)
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert all(port.startswith(LOOPBACK) for port in service.get("ports", []))


@pytest.mark.parametrize("name", ["api", "worker"])
def test_ours_have_the_time_to_drain_that_the_supervisor_takes(name: str) -> None:
    assert seconds(services()[name]["stop_grace_period"]) > STOP_S_MAX


def test_our_image_is_named_by_our_version() -> None:
    assert {service["image"] for service in ours().values()} == {f"pintuan:{version('pintuan')}"}


def test_everything_that_is_mounted_is_there() -> None:
    volumes = set(compose()["volumes"])
    for name, service in services().items():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in volumes or (PROJECT / source).exists(), f"{name}: {source}"


def test_what_depends_on_a_service_waits_for_a_state_it_can_reach() -> None:
    found = services()
    for service in found.values():
        depends = service.get("depends_on", {})
        assert set(depends) <= set(found)
        for other, condition in depends.items() if isinstance(depends, dict) else ():
            healthy = condition["condition"] == "service_healthy"
            assert not healthy or "test" in found[other]["healthcheck"]


def test_prometheus_looks_where_the_services_answer() -> None:
    looked_at = {
        (name, source["port"])
        for job in read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
        for source in job["dns_sd_configs"]
        for name in source["names"]
    }
    answering = {
        (name, int(service["environment"].get("PINTUAN_METRICS_PORT") or options["port"]))
        for name, service in ours().items()
        for subcommand, options in [parsed(service)]
        if subcommand == "up"
    }
    assert looked_at == answering


def test_the_stores_are_reached_by_us_alone() -> None:
    networks = compose()["networks"]
    assert networks["stores"] == {"internal": True}
    assert {name for name, service in services().items() if "stores" in service["networks"]} == {
        "postgres",
        "redis",
        *ours(),
    }
    assert Path(PROJECT / ".env").name in (PROJECT / ".gitignore").read_text().split()
