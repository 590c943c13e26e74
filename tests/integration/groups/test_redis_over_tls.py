"""Redis over TLS: one context for all connections of a URL, and only the server that was meant."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from groups import redis_url as redis_urls
from groups.connections import CONNECTIONS_MAX, SINGLE, ServerConnections
from groups.errors import Overloaded
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.doorbells import open_queue
from tests.integration.selling.webhooks.certificate import contexts_of

pytestmark = pytest.mark.anyio

CHUNK_BYTES = 65_536


@asynccontextmanager
async def speaking_tls(redis_url: str, shown: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a Redis that shows a certificate: a relay in front of one that is reached by its socket."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(urlsplit(redis_url).path)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=shown)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_all_connections_of_a_url_share_one_context(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    make = ssl.create_default_context

    def counted(*args: object, **options: object) -> ssl.SSLContext:
        made.append(options)
        return make(*args, **options)  # type: ignore[arg-type]

    shown, _ = contexts_of("localhost", tmp_path)
    monkeypatch.setattr(ssl, "create_default_context", counted)
    redis_urls._context.cache_clear()
    async with speaking_tls(redis_url, shown) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'certificate.pem'}"
        everybody_is_here = asyncio.Barrier(CONNECTIONS_MAX)

        async def lend(connections: ServerConnections) -> str:
            async with connections.lend("") as lent:
                await everybody_is_here.wait()
                assert await lent.call("PING") == b"PONG"
                return lent.run_id

        pools = [ServerConnections(url), ServerConnections(url)]
        run_ids = [
            await asyncio.gather(*(lend(connections) for _ in range(CONNECTIONS_MAX)))
            for connections in pools
        ]
        assert len({run_id for ids in run_ids for run_id in ids}) == 1
        async with open_queue(Settings(queue_redis_url=url)) as queue:
            assert await queue.ping()
        for connections in pools:
            await connections.close()
    assert len(made) == 1


async def test_the_certificate_of_another_host_is_refused_unless_the_url_takes_any(
    redis_url: str, tmp_path: Path
) -> None:
    shown, _ = contexts_of("other.example", tmp_path)
    async with speaking_tls(redis_url, shown) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'certificate.pem'}"
        with pytest.raises(Overloaded, match="certificate"):
            await ping(url)
        await ping(f"{url}&ssl_check_hostname=false")


async def test_with_certificates_of_its_own_a_url_takes_nobody_elses(redis_url: str, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for directory in (ours, theirs):
        directory.mkdir()
    shown, _ = contexts_of("localhost", theirs)
    contexts_of("localhost", ours)
    async with speaking_tls(redis_url, shown) as port:
        with pytest.raises(Overloaded, match="certificate"):
            await ping(f"rediss://localhost:{port}/0?ssl_ca_certs={ours / 'certificate.pem'}")
        await ping(f"rediss://localhost:{port}/0?ssl_cert_reqs=none")


async def ping(url: str) -> None:
    connections = ServerConnections(url)
    try:
        async with connections.lend_at(SINGLE) as lent:
            await lent.call("PING")
    finally:
        await connections.close()
