"""`pintuan up` as an operator meets it."""

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING

import asyncpg
import httpx
import psutil
import pytest

if TYPE_CHECKING:
    from .conftest import Operator, Up

pytestmark = pytest.mark.anyio

RECOVERY_S_MAX = 60.0
POLL_S = 0.05


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def until_replaced(up: "Up", name: str, old_pid: int) -> None:
    """Waits until another process does the job of the dead one and the marketplace is ready again."""
    async with asyncio.timeout(RECOVERY_S_MAX), httpx.AsyncClient(base_url=up.url) as client:
        while True:
            if up.children().get(name, old_pid) != old_pid and await is_ready(client):
                return
            await asyncio.sleep(POLL_S)


async def database_of(up: "Up") -> asyncpg.Connection:
    return await asyncpg.connect(json.loads((up.data_dir / "run.json").read_text())["database_url"])


async def test_it_gets_ready_serves_and_ends_at_sigterm_leaving_no_process(operator: "Operator") -> None:
    up = await operator.up()
    async with httpx.AsyncClient(base_url=up.url) as client:
        assert (await client.get("/health/live")).status_code == httpx.codes.OK
        assert "server" not in (await client.get("/health/ready")).headers
    family = psutil.Process(up.process.pid).children(recursive=True)
    assert {"postgres", "redis", "api"} <= set(up.children())

    assert await up.terminate() == 0

    assert [process for process in family if process.is_running()] == []
    assert not (up.data_dir / "run.json").exists()


async def test_a_taken_port_ends_the_start_with_one_line(operator: "Operator") -> None:
    with socket.create_server(("127.0.0.1", operator.port)):
        process = await operator.spawn()
        await process.communicate()
    assert process.returncode == 1
    assert operator.errors() == (
        f"Error: 127.0.0.1:{operator.port} is taken by another program; stop it or choose another --port\n"
    )


async def test_a_data_directory_that_cannot_be_made_ends_the_start_with_one_line(
    operator: "Operator",
) -> None:
    operator.data_dir.touch()
    process = await operator.spawn()
    await process.communicate()
    assert process.returncode == 1
    assert operator.errors().count("\n") == 1
    assert f"cannot use the data directory {operator.data_dir}" in operator.errors()


async def test_a_bad_setting_ends_the_start_naming_the_variable(operator: "Operator") -> None:
    process = await operator.spawn(PINTUAN_SIM_OFFSET_MS="tomorrow")
    await process.communicate()
    assert process.returncode == 1
    assert operator.errors().startswith("Error: PINTUAN_SIM_OFFSET_MS: must be a whole number")


@pytest.mark.slow
async def test_a_second_start_finds_the_data_of_the_first(operator: "Operator") -> None:
    up = await operator.up()
    connection = await database_of(up)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    await connection.close()
    assert await up.terminate() == 0

    up = await operator.up()
    connection = await database_of(up)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_second_marketplace_on_the_same_data_is_refused_naming_the_first(
    operator: "Operator",
) -> None:
    up = await operator.up()
    process = await operator.spawn()
    await process.communicate()
    assert process.returncode == 1
    assert f"is in use by process {up.process.pid}" in operator.errors()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_every_child_that_is_killed_is_started_again(operator: "Operator") -> None:
    up = await operator.up()
    for name in up.children():
        # Asked again for each: a worker ends by itself when its Redis does.
        pid = up.children()[name]
        psutil.Process(pid).kill()
        await until_replaced(up, name, pid)
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_connection_waits_while_the_only_api_process_is_replaced(operator: "Operator") -> None:
    up = await operator.up()
    psutil.Process(up.children()["api"]).kill()
    async with httpx.AsyncClient(base_url=up.url, timeout=RECOVERY_S_MAX) as client:
        assert (await client.get("/health/live")).status_code == httpx.codes.OK
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_after_the_supervisor_is_killed_the_next_start_comes_up_with_its_data(
    operator: "Operator",
) -> None:
    up = await operator.up("--api-workers", "2")
    connection = await database_of(up)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    up.process.kill()
    await up.process.wait()
    connection.terminate()

    up = await operator.up()
    connection = await database_of(up)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_a_signal_during_the_start_ends_it_cleanly(operator: "Operator") -> None:
    process = await operator.spawn()
    family: list[psutil.Process] = []
    while not family:
        family = psutil.Process(process.pid).children(recursive=True)
        await asyncio.sleep(POLL_S)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), RECOVERY_S_MAX)
    assert process.returncode == 0
    assert [one for one in family if one.is_running()] == []
