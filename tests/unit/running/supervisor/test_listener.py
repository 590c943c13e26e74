"""The listening socket and what is said about it."""

import asyncio
import socket

import pytest

from pintuan.running.supervisor import listener as listener_module
from pintuan.running.supervisor.errors import ListenError
from pintuan.running.supervisor.listener import listen, url_of
from tests.marketplace import free_port

pytestmark = pytest.mark.anyio


async def test_a_taken_port_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"^127\.0\.0\.1:{port} is taken by another program; .*--port$"
        ):
            await listen("127.0.0.1", port, after_crash=False)


async def test_after_a_crash_the_port_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        attempt = asyncio.create_task(listen("127.0.0.1", port, after_crash=True))
        await asyncio.sleep(0)
        assert not attempt.done()
    (await attempt).close()


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:80"):
        await listen("192.0.2.1", 8080, after_crash=False)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104  # nothing is bound here
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("shop.example", "http://shop.example:80"),
    ],
)
def test_the_url_shown_is_one_a_client_here_can_open(host: str, url: str) -> None:
    assert url_of(host, 80) == url


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends such connections")
async def test_what_nobody_reads_keeps_no_connection_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "UNREAD_MS_MAX", 300)
    with await listen("127.0.0.1", free_port(), after_crash=False) as listening, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(listening.getsockname())
        listening.setblocking(True)
        connection, _ = listening.accept()
        with connection:
            connection.setblocking(False)
            with pytest.raises(TimeoutError, match="timed out"):
                await asyncio.wait_for(send_for_ever(connection), 30)


async def send_for_ever(connection: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(connection, b"x" * 65_536)


async def test_the_kernel_takes_little_of_an_answer_that_nobody_reads() -> None:
    with await listen("127.0.0.1", free_port(), after_crash=False) as listening, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(listening.getsockname())
        listening.setblocking(True)
        connection, _ = listening.accept()
        with connection:
            connection.setblocking(False)
            taken_bytes = connection.send(b"x" * 64 * listener_module.SEND_BUFFER_BYTES)
    # Linux gives twice as much, which has to hold what it keeps with the bytes as well.
    assert taken_bytes <= 3 * listener_module.SEND_BUFFER_BYTES
