"""Starts that cannot succeed end soon, with one line that names what is wrong, and leave nothing running."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from pintuan.base.stores.embedded.data_directory import DataDirectory
from tests.marketplace import Outcome, Site, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LONG_KEY = "a key that is long enough for production, and no secret"
BAD_VALUES: list[dict[str, str]] = [
    {"PINTUAN_ENV": "staging"},
    {"PINTUAN_PUBLIC_URL": "shop.example"},
    {"PINTUAN_DATABASE_URL": "mysql://ann:swordfish@localhost/shop"},
    {"PINTUAN_DATABASE_URL": "postgresql://ann:swordfish@localhost:99999/shop"},
    {"PINTUAN_REDIS_URL": "http://:swordfish@localhost"},
    {"PINTUAN_QUEUE_REDIS_URL": "redis+cluster://localhost"},
    {"PINTUAN_REDIS_URL": "redis+cluster://localhost"},
    {"PINTUAN_PAYMENT_GATEWAY": "barter"},
    {"PINTUAN_CLOCK_OFFSET_MS": "1h"},
    {"PINTUAN_SIM_OFFSET_MS": "9" * 17},
    {"PINTUAN_RATE_LIMITS": "no"},
    {"PINTUAN_SECRET_KEY": "", "PINTUAN_ENV": "production"},
    {"PINTUAN_SECRET_KEY": "swordfish", "PINTUAN_ENV": "production"},
    {"PINTUAN_SIM_OFFSET_MS": "1", "PINTUAN_ENV": "production", "PINTUAN_SECRET_KEY": LONG_KEY},
    {"PINTUAN_CLOCK_OFFSET_MS": "1", "PINTUAN_ENV": "production", "PINTUAN_SECRET_KEY": LONG_KEY},
    {"PINTUAN_RATE_LIMITS": "off", "PINTUAN_ENV": "production", "PINTUAN_SECRET_KEY": LONG_KEY},
    {"PINTUAN_PAYMENT_GATEWAY": "", "PINTUAN_ENV": "production", "PINTUAN_SECRET_KEY": LONG_KEY},
    {"PINTUAN_DATABSE_URL": "postgresql://ann:swordfish@db/shop", "PINTUAN_ENV": "production"},
]
"""The variable that is to be named comes first."""
UNREACHABLE = {
    "PINTUAN_DATABASE_URL": "postgresql://ann:swordfish@127.0.0.1:{port}/shop",
    "PINTUAN_REDIS_URL": "redis://:swordfish@127.0.0.1:{port}/0",
}


@pytest.mark.parametrize("environ", BAD_VALUES, ids=" ".join)
async def test_a_bad_value_is_refused_by_name(new_site: Site, environ: dict[str, str]) -> None:
    assert_refused(await new_site.up_refused(**environ), next(iter(environ)))
    assert not new_site.data_dir.exists(), "nothing was begun"


async def test_what_is_hardly_meant_is_said_at_the_start_and_by_doctor_alike(new_site: Site) -> None:
    environ = {
        "PINTUAN_ENV": "production",
        "PINTUAN_SECRET_KEY": LONG_KEY,
        "PINTUAN_PAYMENT_GATEWAY": "sandbox",
        "PINTUAN_PUBLIC_URL": "https://localhost",
        "PINTUAN_EMBEDDED_STORES": "on",
        "PINTUAN_XYZZY": "1",
    }
    doctor = json.loads((await new_site.run("doctor", "--json", **environ)).output)
    up = await new_site.up(**environ)
    assert await up.terminate() == 0
    said = new_site.log.read_text()
    warned = {one["subject"]: one["detail"] for one in doctor["findings"] if one["status"] == "warn"}
    for subject in ("payments", "signing in", "links", "settings"):
        assert f"pintuan: {subject}: {warned[subject]}; " in said


@pytest.mark.parametrize("port", ["0", "65536", "http"])
async def test_a_bad_port_is_refused_by_name(new_site: Site, port: str) -> None:
    assert_refused(await new_site.run("up", PINTUAN_HTTP_PORT=port), "PINTUAN_HTTP_PORT")


async def test_a_queue_nobody_listens_for_is_named_and_the_start_goes_on(new_site: Site) -> None:
    up = await new_site.up(PINTUAN_QUEUE_REDIS_URL=f"redis://:swordfish@127.0.0.1:{free_port()}/0")
    assert await up.terminate() == 0
    said = new_site.log.read_text()
    assert "pintuan: PINTUAN_QUEUE_REDIS_URL: cannot reach Redis" in said
    assert "swordfish" not in said


@pytest.mark.parametrize("variable", UNREACHABLE)
async def test_a_store_nobody_listens_for_is_refused_by_name(new_site: Site, variable: str) -> None:
    url = UNREACHABLE[variable].format(port=free_port())
    assert_refused(await new_site.up_refused(**{variable: url}), variable)
    assert new_site.leftovers() == []


@pytest.mark.parametrize("variable", ["PINTUAN_DATABASE_URL", "PINTUAN_REDIS_URL"])
async def test_a_store_that_never_answers_is_given_up(new_site: Site, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = UNREACHABLE[variable].format(port=silent.getsockname()[1])
        assert_refused(await new_site.up_refused(**{variable: url}), variable)
    assert new_site.leftovers() == []


async def test_a_data_directory_below_a_file_is_refused_by_name(own_directory: Path) -> None:
    (own_directory / "file").touch()
    site = Site(own_directory / "file" / "data")
    assert_refused(await site.run("up"), "PINTUAN_DATA_DIR")


async def test_a_second_marketplace_on_the_data_leaves_the_first_alone(new_site: Site) -> None:
    up = await new_site.up()
    refused = await new_site.run("up", "--port", str(free_port()))
    assert_refused(refused, f"is in use by process {up.process.pid}")
    assert len(up.processes("api")) == 1
    await up.until_ready()
    assert await up.terminate() == 0
    assert new_site.leftovers() == []


async def test_a_marketplace_on_the_redis_of_another_is_refused_by_name(
    site: Site, own_directory: Path
) -> None:
    up = await site.up()
    first = DataDirectory(site.data_dir).running()
    assert first is not None
    second = Site(own_directory / "second")
    refused = await second.up_refused(PINTUAN_REDIS_URL=first.redis_url)
    assert_refused(refused, "PINTUAN_REDIS_URL: another marketplace uses this Redis")
    assert second.leftovers() == []
    assert "every lane is rebuilt" not in site.log.read_text()
    assert await up.terminate() == 0


def assert_refused(outcome: Outcome, named: str) -> None:
    """One line on stderr that names what is wrong and no secret, and nothing on stdout."""
    assert (outcome.status, outcome.output) == (1, ""), outcome.errors
    assert outcome.errors.count("\n") == 1, outcome.errors
    assert named in outcome.errors
    assert "swordfish" not in outcome.errors
