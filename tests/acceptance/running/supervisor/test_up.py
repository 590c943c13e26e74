"""`pintuan up` as an operator meets it."""

import asyncio
import signal
import socket
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from tests.marketplace import RECOVERY_S_MAX, STOP_S_MAX, Outcome, Site, living
from tests.waiting import until

pytestmark = pytest.mark.anyio

JOBS = ("postgres", "redis", "api", "worker")


async def database_of(site: Site) -> asyncpg.Connection:
    return await asyncpg.connect(site.running()["database_url"])


async def test_it_gets_ready_serves_and_ends_at_sigterm_leaving_no_process(new_site: Site) -> None:
    up = await new_site.up()
    async with up.client() as client:
        assert (await client.get("/health/live")).status_code == httpx.codes.OK
        assert "server" not in (await client.get("/health/ready")).headers
    family = up.family()
    assert [job for job in JOBS if not up.processes(job)] == []

    assert await up.terminate() == 0

    assert living(family) == []
    assert not (new_site.data_dir / "run.json").exists()


async def test_a_taken_port_ends_the_start_with_one_line(new_site: Site) -> None:
    with socket.create_server(("127.0.0.1", new_site.port)):
        refused = await new_site.up_refused()
    told = f"127.0.0.1:{new_site.port} is taken by another program; stop it or choose another --port"
    assert refused == Outcome(1, output="", errors=f"Error: {told}\n")


async def test_a_data_directory_that_cannot_be_made_ends_the_start_with_one_line(
    new_site: Site, own_directory: Path
) -> None:
    taken = own_directory / "taken"
    taken.touch()
    refused = await new_site.up_refused("--data-dir", str(taken))
    assert refused.status == 1
    assert refused.errors.count("\n") == 1
    assert f"cannot use the data directory {taken}" in refused.errors


async def test_a_bad_setting_ends_the_start_naming_the_variable(new_site: Site) -> None:
    refused = await new_site.up_refused(PINTUAN_SIM_OFFSET_MS="tomorrow")
    assert refused.status == 1
    assert refused.errors.startswith("Error: PINTUAN_SIM_OFFSET_MS: must be a whole number")


@pytest.mark.slow
async def test_nobody_fills_the_memory_with_a_head_that_does_not_end(site: Site) -> None:
    up = await site.up()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    while not answer.done():
        writer.write(b"x" * 4096)
        await asyncio.wait([answer], timeout=0.01)
    assert answer.result() == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    writer.close()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_second_start_finds_the_data_of_the_first(new_site: Site, own_directory: Path) -> None:
    up = await new_site.up()
    connection = await database_of(new_site)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    await connection.close()
    assert await up.terminate() == 0

    # The option goes over the variable.
    up = await new_site.up(
        "--data-dir", str(new_site.data_dir), PINTUAN_DATA_DIR=str(own_directory / "elsewhere")
    )
    connection = await database_of(new_site)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_second_marketplace_on_the_same_data_is_refused_naming_the_first(site: Site) -> None:
    up = await site.up()
    refused = await site.up_refused()
    assert refused.status == 1
    assert f"is in use by process {up.process.pid}" in refused.errors
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_every_child_that_is_killed_is_started_again(site: Site) -> None:
    up = await site.up()
    for job in JOBS:
        await up.kill_one(job)
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_connection_waits_while_the_only_api_process_is_replaced(site: Site) -> None:
    up = await site.up()
    (api,) = up.processes("api")
    api.kill()
    async with up.client() as client:
        answer = await client.get("/health/live", timeout=RECOVERY_S_MAX)
        assert answer.status_code == httpx.codes.OK
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_after_the_supervisor_is_killed_the_next_start_comes_up_with_its_data(site: Site) -> None:
    up = await site.up("--api-workers", "2")
    connection = await database_of(site)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    await up.kill()
    connection.terminate()

    up = await site.up()
    connection = await database_of(site)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_signal_during_the_start_ends_it_cleanly(new_site: Site) -> None:
    process = await new_site.spawn()
    family: list[psutil.Process] = []

    async def has_children() -> bool:
        family[:] = psutil.Process(process.pid).children(recursive=True)
        return bool(family)

    await until(has_children, within_s=RECOVERY_S_MAX)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), STOP_S_MAX)
    assert process.returncode == 0
    assert living(family) == []
