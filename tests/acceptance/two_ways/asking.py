"""Sends the same bytes both ways, and tells of an answer what two of them must have in common."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tests.acceptance.conftest import HOST

WAIT_S_MAX: Final = 15.0
ANSWER_BYTES_MAX: Final = 1 << 20
INTERIM: Final = b"HTTP/1.1 1"
JSON: Final = b"application/json"
# A caller who names the request makes both answers name it alike.
REQUEST_ID: Final = b"same-for-both"
Headers = tuple[tuple[bytes, bytes], ...]


class Request(NamedTuple):
    """A request as it goes over the wire; `headers` come after Host and before the length."""

    target: bytes
    headers: Headers
    body: bytes = b""
    host: bytes | None = b"Host: shop.example\r\n"
    method: bytes = b"POST"
    version: bytes = b"HTTP/1.1"
    framing: bytes | None = None

    def wire(self) -> bytes:
        """The bytes."""
        lines = b"".join(b"%b: %b\r\n" % header for header in self.headers)
        framing = b"Content-Length: %d\r\n" % len(self.body) if self.framing is None else self.framing
        start = b"%b %b %b\r\n" % (self.method, self.target, self.version)
        return start + (self.host or b"") + lines + framing + b"\r\n" + self.body

    def with_header(self, name: bytes, *values: bytes) -> Request:
        """The same request with these values of a header in the place of those it has."""
        others = tuple(header for header in self.headers if header[0].lower() != name.lower())
        return self._replace(headers=others + tuple((name, value) for value in values))


class Answer(NamedTuple):
    """A response as it came; interim ones are part of it."""

    raw: bytes

    @property
    def status(self) -> int:
        """The status of the last response."""
        head = self.raw.rpartition(b"\r\n\r\n")[0].rpartition(b"HTTP/1.1 ")[2]
        return int(head[:3])

    @property
    def code(self) -> str:
        """What a refusal is called; nothing for a success."""
        found = re.search(rb'"code":"(\w+)"', self.raw)
        return found[1].decode() if found else ""


async def ask(port: int, request: Request) -> Answer:
    """Sends a request on a connection of its own and reads its answer."""
    async with asyncio.timeout(WAIT_S_MAX):
        reader, writer = await asyncio.open_connection(HOST, port, limit=ANSWER_BYTES_MAX)
        try:
            writer.write(request.wire())
            raw = head = b""
            while not head or head.startswith(INTERIM):
                head = await reader.readuntil(b"\r\n\r\n")
                raw += head
            length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head.lower())
            return Answer(raw + (await reader.readexactly(int(length[1])) if length else b""))
        finally:
            writer.close()


# What may differ between two answers that mean the same, and the word that stands for it.
VOLATILE: Final[Iterable[tuple[re.Pattern[bytes], bytes]]] = (
    (re.compile(rb"\r\ndate: [^\r]+"), b""),
    (re.compile(rb"(?<=\r\nx-request-id: )[0-9a-f]{24}(?=\r\n)"), b"request"),
    (re.compile(rb"(?<=urn:pintuan:request:)[0-9a-f]{24}"), b"request"),
    (re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), b"time"),
    (re.compile(rb'(?<="share_code":")[\w-]+'), b"share code"),
    (re.compile(rb"(?<=/g/)[\w-]+"), b"share code"),
    (re.compile(rb"(?<=the earlier request )\w+"), b"request"),
)
_ID: Final = re.compile(rb"\b(ord|grp|deal)_[0-9a-f]{32}\b")


def likeness(answer: Answer) -> bytes:
    """The answer with a word for all that may differ; of two ids that are one both become the same word."""
    raw = answer.raw
    for pattern, word in VOLATILE:
        raw = pattern.sub(word, raw)
    known: dict[bytes, bytes] = {}
    raw = _ID.sub(lambda found: known.setdefault(found[0], b"%b %d" % (found[1], len(known))), raw)
    head, separator, body = raw.rpartition(b"\r\n\r\n")
    # The order of headers of different names means nothing (RFC 9110 section 5.3).
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *sorted(lines)]) + separator + body
