"""A server that answers as Stripe's API does, on loopback: the network and the idempotency layer.

The books behind it are `tests.stripe_books`. What happens to a request, a test says with `next_time`.
Keys work as docs.stripe.com/api/idempotent_requests and docs.stripe.com/error-low-level describe.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.stripe_books import API_VERSION, Body, Form, Refused, StripeBooks

HOST: Final = "127.0.0.1"
SECRET_KEY: Final = "sk_test_of_the_local_server"
WEBHOOK_SECRET: Final = "whsec_of_the_local_server"


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of, or after, being carried out.

    `lost_before` and `lost_after` hang up; `held` answers only once the event is set; `refused` answers an
    error without any effect; `broken_before` and `broken_after` keep a 500 under the key.
    """

    kind: Literal["lost_before", "lost_after", "held", "refused", "broken_before", "broken_after"]
    event: asyncio.Event | None = None
    error: Refused | None = None


LOST_BEFORE: Final = Fault("lost_before")
LOST_AFTER: Final = Fault("lost_after")
BROKEN_BEFORE: Final = Fault("broken_before")
BROKEN_AFTER: Final = Fault("broken_after")
RATE_LIMITED: Final = Fault(
    "refused", error=Refused(429, "invalid_request_error", "Too many requests.", "rate_limit")
)
LOCKED: Final = Fault(
    "refused", error=Refused(429, "invalid_request_error", "This object cannot be accessed.", "lock_timeout")
)
UNAVAILABLE: Final = Fault("refused", error=Refused(503, "api_error", "Stripe is under maintenance."))
NOT_PERMITTED: Final = Fault("refused", error=Refused(403, "invalid_request_error", "The key may not."))


@dataclass
class StripeServer:
    """One account behind its API."""

    books: StripeBooks = field(default_factory=StripeBooks)
    url: str = ""
    requests: list[str] = field(default_factory=list)
    _kept: dict[str, tuple[str, int, Body] | None] = field(default_factory=dict)
    _faults: list[tuple[str, Fault]] = field(default_factory=list)

    def next_time(self, path_part: str, fault: Fault) -> None:
        """Applies the fault to the next POST whose path contains `path_part`."""
        self._faults.append((path_part, fault))

    def forget_keys(self) -> None:
        """What happens after a day."""
        self._kept.clear()

    async def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Body, bool] | None:
        """Carries out one request; None hangs up. Tells status, body, and whether a key had it kept."""
        parts = urlsplit(target)
        self.requests.append(f"{method} {parts.path}")
        form = _form_of(parts.query if method == "GET" else body.decode())
        try:
            _check_headers(headers)
            if method == "GET":
                return 200, self.books.read(parts.path, form), False
            return await self._write(parts.path, form, headers.get("idempotency-key", ""))
        except Refused as refused:
            return refused.status, refused.body, False

    async def _write(self, path: str, form: Form, key: str) -> tuple[int, Body, bool] | None:
        fault = self._fault_of(path)
        if fault is not None and fault.error is not None:
            # Limits and locks come before the layer that remembers keys.
            raise fault.error
        if fault is not None and fault.kind == "lost_before":
            return None
        asked = json.dumps([path, form], sort_keys=True)
        if key in self._kept:
            kept = self._kept[key]
            if kept is None:
                message = "There is currently another in-progress request using this Idempotent Key."
                raise Refused(409, "invalid_request_error", message, "idempotency_key_in_use")
            if kept[0] != asked:
                message = "Keys for idempotent requests can only be used with the same parameters."
                raise Refused(400, "idempotency_error", message)
            return *kept[1:], True
        self._kept[key] = None
        if fault is not None and fault.event is not None:
            await fault.event.wait()
        broken = Refused(500, "api_error", "Something went wrong on Stripe's end.")
        try:
            if fault is not None and fault.kind == "broken_before":
                raise broken
            status, answer = 200, self.books.write(path, form)
        except Refused as refused:
            status, answer = refused.status, refused.body
        if fault is not None and fault.kind == "broken_after":
            status, answer = broken.status, broken.body
        # Copied as it is now: a repeated key shows the first answer, whatever happened since.
        self._kept[key] = (asked, status, json.loads(json.dumps(answer)))
        return None if fault is not None and fault.kind == "lost_after" else (status, answer, False)

    def _fault_of(self, path: str) -> Fault | None:
        for place, (part, fault) in enumerate(self._faults):
            if part in path:
                del self._faults[place]
                return fault
        return None


@asynccontextmanager
async def serving_stripe() -> AsyncIterator[StripeServer]:
    """Serves a fresh account on a free port for the life of the block."""
    stripe = StripeServer()
    server = await asyncio.start_server(_connection(stripe), HOST, 0)
    stripe.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield stripe
        server.close()


def signed(event: Body, *, at_s: int, secret: str = WEBHOOK_SECRET) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a webhook, signed as docs.stripe.com/webhooks/signature says."""
    body = json.dumps(event).encode()
    signature = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "Stripe-Signature": f"t={at_s},v1={signature},v0=deadbeef",
        "Content-Type": "application/json",
    }


def _connection(
    stripe: StripeServer,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                answer = await stripe.answer(*request)
                if answer is None:
                    break
                writer.write(_response(*answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            # The caller hung up, as the network may.
            pass
        finally:
            writer.close()

    return serve


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    head = await reader.readline()
    if not head.strip():
        return None
    method, target, _ = head.decode().split()
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, target, headers, body


def _response(status: int, body: Body, replayed: bool) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} Local\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Request-Id: req_local\r\nStripe-Version: {API_VERSION}\r\n"
        f"{'Idempotent-Replayed: true' if replayed else 'Connection: keep-alive'}\r\n\r\n"
    )
    return head.encode() + content


def _check_headers(headers: dict[str, str]) -> None:
    if headers.get("authorization") != f"Bearer {SECRET_KEY}":
        raise Refused(401, "invalid_request_error", "Invalid API Key provided: sk_test_***")
    assert headers["stripe-version"] == API_VERSION
    assert "x-stripe-client-telemetry" not in headers


def _form_of(text: str) -> Form:
    return {unquote(name): values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
