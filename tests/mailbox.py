"""Real servers that take messages: one speaks SMTP, the other is an SMS provider's webhook."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Email
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pintuan.people.notifications.courier import Courier

HOST = "127.0.0.1"


async def deliver_due(courier: Courier) -> int:
    """Starts what is due and there is room for, and waits until it has ended; returns how much it was."""
    count = await courier.start_due()
    await courier.finish()
    return count


@dataclass
class MailServer:
    """What an SMTP server took; `answers` are its replies to the next messages, then it takes them."""

    port: int = 0
    mails: list[Email] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refused_recipients: dict[str, str] = field(default_factory=dict)
    # Set when a message was taken; while `hung` is set, its sender gets no answer.
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    hung: bool = False

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(_is_encrypted(server))
        self.taken.set()
        while self.hung:  # noqa: ASYNC110 - the test lets go, or the connection is cut
            await asyncio.sleep(0.01)
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        """Takes any password and remembers it."""
        assert isinstance(data, LoginPassword)
        self.passwords.append(data.password)
        return AuthResult(success=True)


def _is_encrypted(server: SMTP) -> bool:
    return server.transport is not None and server.transport.get_extra_info("ssl_object") is not None


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, signs_in: bool = False
) -> AsyncIterator[MailServer]:
    """An SMTP server on a free port; with `tls` it offers STARTTLS, or speaks TLS at once if `implicit`."""
    mailbox = MailServer()
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.test",
            tls_context=None if implicit else tls,
            authenticator=mailbox.authenticate if signs_in else None,
            auth_require_tls=False,
            loop=loop,
        )

    server = await loop.create_server(session, HOST, 0, ssl=tls if implicit else None)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        mailbox.hung = False
        server.close()
        await server.wait_closed()


@dataclass
class TextProvider:
    """What a webhook was sent; `statuses` are its answers to the next calls, then 200."""

    port: int = 0
    texts: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    silent: bool = False

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/texts?key=secret"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        body = json.loads(await reader.readexactly(length))
        if self.silent:
            await reader.read()
        else:
            status = self.statuses.pop(0) if self.statuses else 200
            if status == 200:
                self.texts.append(body)
            writer.write(
                f"HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        writer.close()


@asynccontextmanager
async def text_provider() -> AsyncIterator[TextProvider]:
    """A webhook on a free port."""
    provider = TextProvider()
    server = await asyncio.start_server(provider.answer, HOST, 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        await server.wait_closed()


def certified(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for 127.0.0.1, and the certificate that whoever is to trust it must know."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = directory / "certificate.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = directory / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, private)
    return context, chain
