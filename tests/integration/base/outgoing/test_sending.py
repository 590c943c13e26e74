"""One attempt reaches the address that was checked, and no receiver can make it wait, read or wander."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from pintuan.base.outgoing.addresses import SystemResolver, addresses_of, destination_of
from pintuan.base.outgoing.sending import Sender, SendFailed
from tests.integration.selling.webhooks.certificate import contexts_of
from tests.receiver import HOST, Names, never, receiving

pytestmark = pytest.mark.anyio

NAME = "hooks.invalid"
ANOTHER_HOST = "127.0.0.2"
BODY = b'{"type":"ping"}'
CHUNK = b"x" * 65_536
OK = b"HTTP/1.1 200 OK\r\n"


def sender(names: Names | None = None, *, trusts: ssl.SSLContext | None = None) -> Sender:
    """One of a development machine, which may call itself."""
    return Sender(names or Names([HOST]), allows_loopback=True, ssl_context=trusts)


async def post(url: str, *, by: Sender | None = None) -> int:
    return await (by or sender()).post(url, {"webhook-id": "evt_1"}, BODY)


async def test_a_message_is_posted_as_it_is_and_the_status_comes_back() -> None:
    async with receiving(status=202) as receiver:
        assert await post(receiver.url) == 202
    (received,) = receiver.received
    assert received.line == "POST /hooks?shop=1 HTTP/1.1"
    assert received.body == BODY
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == f"{HOST}:{receiver.port}"
    assert received.id == "evt_1"


async def test_tls_asks_for_the_name_and_connects_to_the_address_that_was_checked(tmp_path: Path) -> None:
    serving, trusting = contexts_of(NAME, tmp_path)
    asked: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    # The system does not know the name, so only the resolver's answer can have led there.
    names = Names([ANOTHER_HOST])
    async with receiving(serving, host=ANOTHER_HOST) as receiver:
        assert await post(f"https://{NAME}:{receiver.port}/", by=sender(names, trusts=trusting)) == 200
    assert asked == [NAME]
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert names.asked == [(NAME, receiver.port)]


@pytest.mark.parametrize("trusted", [True, False], ids=["of another name", "of nobody we trust"])
async def test_a_certificate_must_be_right(tmp_path: Path, trusted: bool) -> None:
    serving, trusting = contexts_of("other.invalid", tmp_path)
    by = sender(trusts=trusting if trusted else None)
    name = NAME if trusted else "other.invalid"
    async with receiving(serving) as receiver:
        with pytest.raises(SendFailed, match="TLS"):
            await post(f"https://{name}:{receiver.port}/", by=by)
    assert receiver.received == []


async def test_a_name_that_changes_its_mind_after_it_was_checked_leads_nowhere() -> None:
    """DNS rebinding: public when it is registered, this machine and a cloud's metadata afterwards."""
    async with receiving() as receiver:
        url = f"https://{NAME}:{receiver.port}/"
        names = Names(["8.8.8.8"], [HOST], ["169.254.169.254"], ["8.8.8.8", HOST])
        await addresses_of(destination_of(url, allows_loopback=False), names, allows_loopback=False)
        strict = Sender(names, allows_loopback=False)
        for _ in range(3):
            with pytest.raises(SendFailed, match="not public"):
                await post(url, by=strict)
        assert receiver.connections == 0
        # Each attempt asked once: what it checked is what it would have connected to.
        assert len(names.asked) == 4


async def test_production_neither_calls_this_machine_nor_speaks_plain_http() -> None:
    async with receiving() as receiver:
        resolver = SystemResolver()
        strict = Sender(resolver, allows_loopback=False)
        for url in (
            receiver.url,
            receiver.url.replace("http:", "https:"),
            f"https://localhost:{receiver.port}/",
        ):
            with pytest.raises(SendFailed):
                await post(url, by=strict)
        resolver.close()
        assert receiver.connections == 0


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as elsewhere:

        async def redirect(writer: asyncio.StreamWriter) -> None:
            writer.write(
                b"HTTP/1.1 307 Away\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % elsewhere.url.encode()
            )

        async with receiving(answering=redirect) as receiver:
            assert await post(receiver.url) == 307
    assert elsewhere.connections == 0


async def test_of_an_endless_answer_only_a_little_is_read() -> None:
    written = 0
    hung_up = asyncio.Event()

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        try:
            while written < 1 << 30:
                writer.write(b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK))
                await writer.drain()
                written += len(CHUNK)
        finally:
            hung_up.set()

    async with receiving(answering=flood) as receiver:
        assert await post(receiver.url) == 200
        await hung_up.wait()
    # The rest is what sockets hold in between.
    assert written < 32 << 20


async def test_a_body_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pintuan.base.outgoing.sending.ANSWER_WAIT_S", 0.05)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-length: 1000\r\n\r\nx")
        await never(writer)

    async with receiving(answering=drip) as receiver:
        assert await post(receiver.url) == 200


async def test_one_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pintuan.base.outgoing.sending.ATTEMPT_TIMEOUT_S", 0.2)
    async with receiving(answering=never) as receiver:
        with pytest.raises(SendFailed, match="no answer in time"):
            await post(receiver.url)
    assert len(receiver.received) == 1


async def test_headers_that_drip_are_given_up_in_all_and_not_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pintuan.base.outgoing.sending.ATTEMPT_TIMEOUT_S", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        while True:
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with receiving(answering=drip) as receiver:
        with pytest.raises(SendFailed, match=r"no answer in time|not HTTP"):
            await post(receiver.url)


@pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, b""])
async def test_what_is_no_answer_is_a_failure_in_plain_words(answer: bytes) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with receiving(answering=say) as receiver:
        with pytest.raises(SendFailed, match=r"not HTTP|connection broke"):
            await post(receiver.url)


async def test_where_nobody_listens_there_is_no_connection() -> None:
    async with receiving() as receiver:
        url = receiver.url
    with pytest.raises(SendFailed, match="no connection"):
        await post(url)


async def test_the_next_address_is_tried_where_the_first_takes_no_connection() -> None:
    async with receiving() as receiver:
        by = sender(Names(["::1", HOST]))
        assert await post(f"http://{NAME}:{receiver.port}/", by=by) == 200
