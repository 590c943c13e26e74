"""No parser of a request does more work for a long text than for a short one, or hands it to a library.

Work is counted: calls, and how long the texts are that functions of libraries get. A pattern of the standard
library's `re` makes no calls, so those are held to short texts by the limits in front of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from types import FrameType
from typing import Any

import msgspec
import pytest

from pintuan.base.auth.tokens import TokenVerifier
from pintuan.base.errors import Rejected
from pintuan.base.keyring import Keyring
from pintuan.base.locales import negotiate
from pintuan.base.telemetry.tracing.requests import TracedRequests
from pintuan.buying.orders.schemas import InviteCode, NewOrder
from pintuan.http.bodies import BODY_SIZE_MAX, decode_body
from pintuan.http.client_address import FORWARDED_LENGTH_MAX, behind_proxies, limit_key_of
from pintuan.http.etag import is_known
from pintuan.http.pagination import decode_cursor
from pintuan.http.parameters import require_idempotency_key
from pintuan.http.protocol.request_target import TARGET_BYTES_MAX, is_authority, read_target
from pintuan.http.query import _check
from pintuan.http.request_ids import sent_request_id
from pintuan.money.gateway_events.stripe_events import check_signature
from pintuan.people.api_keys.key_text import read_key_text
from pintuan.people.consents.service import stop_of_token
from pintuan.people.contacts.contacts import contact_of
from pintuan.people.identity.sessions import parse_token
from pintuan.reach.pages.cookies import COOKIES_MAX, HEADER_LENGTH_MAX, read_cookie
from pintuan.reach.pages.forms import read_form

LENGTH = 60_000
CALLS_MAX = 2_000
GIVEN_MAX = 4_096
OURS = ("pintuan", "tests", "pricing", "groups", "sql")
KEYRING = Keyring("a key that signs nothing but these tests")

PIECES = (
    "a",
    "\\a",
    ",",
    ";",
    " ",
    "a,",
    "a-",
    "a;q=0.1,",
    "%61",
    "a=b;",
    "=",
    "[",
    "é",
    "1",
    "a@",
    ".",
    "\t ",
    '"a",',
)
BEGINNINGS = ("", '"', 'pintuan="', "+", "Bearer ", "W/", "t=1,v1=", "00-", "{")
HOSTILE = [beginning + piece * (LENGTH // len(piece)) for piece in PIECES for beginning in BEGINNINGS]


class Work:
    """What was done within the block: calls, and the longest text a library's function was given."""

    def __init__(self) -> None:
        self.calls = 0
        self.given: dict[str, int] = {}

    def __enter__(self) -> Work:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event not in {"call", "c_call"}:
            return
        self.calls += 1
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.split(".")[0] not in OURS:
            for value in frame.f_locals.values():
                if isinstance(value, str | bytes) and len(value) > GIVEN_MAX:
                    self.given[f"{module}.{frame.f_code.co_name}"] = len(value)


def run(coroutine: Any) -> None:
    """Runs to its end what never waits."""
    with suppress(StopIteration):
        coroutine.send(None)


class Form:
    """A request with a form; its body is no larger than the framework lets it be."""

    def __init__(self, text: str) -> None:
        self.headers = {"content-type": "application/x-www-form-urlencoded"}
        self._body = text.encode()[:BODY_SIZE_MAX]

    async def body(self) -> bytes:
        return self._body


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    pass


def forwarded(text: str) -> None:
    app = behind_proxies(nothing, ["127.0.0.1"])
    headers = [(b"x-forwarded-for", text.encode())]
    run(app({"type": "http", "client": ("127.0.0.1", 1), "headers": headers}, None, None))  # type: ignore[arg-type]


PARSERS: dict[str, Callable[[str], object]] = {
    "Cookie": lambda text: read_cookie(text, "pintuan", length_max=2048),
    "Accept-Language": negotiate,
    "?lang=": lambda text: negotiate(None, text[:TARGET_BYTES_MAX]),
    "If-None-Match": lambda text: is_known(text, '"tag"'),
    "Idempotency-Key": require_idempotency_key,
    "a bearer token": lambda text: TokenVerifier(KEYRING, lambda: 0.0).issued(text),
    "an API key": read_key_text,
    "a refresh token": parse_token,
    "a cursor": decode_cursor,
    "an e-mail address": lambda text: contact_of(text, None, fictional=True),
    "a phone number": lambda text: contact_of(None, text, fictional=True),
    "a link to unsubscribe": lambda text: stop_of_token(KEYRING, text),
    "an invitation": lambda text: msgspec.convert(text, InviteCode),
    "X-Request-Id": lambda text: sent_request_id([(b"x-request-id", text.encode())]),
    "X-Forwarded-For": forwarded,
    "an address": lambda text: limit_key_of({"client": (text, 1)}),
    "Stripe-Signature": lambda text: check_signature(b"", text, secret="s", now_s=0.0),
    "Host": lambda text: is_authority(text.encode()),
    "a target": lambda text: read_target(text.encode()[:TARGET_BYTES_MAX]),
    "a body": lambda text: decode_body(text.encode()[:BODY_SIZE_MAX], NewOrder),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_long_text_costs_no_more_than_a_bound(name: str) -> None:
    parse = PARSERS[name]
    for text in HOSTILE:
        with Work() as work, suppress(Rejected, msgspec.ValidationError):
            parse(text)
        assert work.calls <= CALLS_MAX, text[:20]
        assert not work.given, text[:20]


def test_forms_and_queries_are_taken_apart_once_within_their_number_of_fields() -> None:
    for text in HOSTILE:
        with Work() as work, suppress(Rejected):
            run(read_form(Form(text)))  # type: ignore[arg-type] # It asks for no more of a request.
        assert work.calls <= CALLS_MAX + LENGTH, "one call for each escape"
        with Work() as work, suppress(Rejected):
            _check(text.encode()[:TARGET_BYTES_MAX], {}, is_read=True)
        assert work.calls <= CALLS_MAX + TARGET_BYTES_MAX


def test_a_trace_is_read_by_its_library_only_within_the_lengths_of_its_specification() -> None:
    carried: list[dict[str, str]] = []

    class Tracing:
        def request(self, _method: str, headers: dict[str, str]) -> Any:
            carried.append(headers)
            return nullcontext()

    async def ask(*headers: tuple[bytes, bytes]) -> None:
        scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await TracedRequests(nothing, Tracing)(scope, None, None)  # type: ignore[arg-type]

    parent, state = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"a=b"
    asyncio.run(ask((b"traceparent", parent), (b"tracestate", state), (b"baggage", b"a=b")))
    asyncio.run(ask((b"traceparent", parent), (b"tracestate", b"a=b" + b" " * 600 + b"c")))
    asyncio.run(ask((b"traceparent", parent + b"-" * 600), (b"tracestate", state)))
    assert carried == [
        {"traceparent": parent.decode(), "tracestate": "a=b"},
        {"traceparent": parent.decode()},
        {"tracestate": "a=b"},
    ]


def test_a_forwarded_address_within_the_bound_is_believed_and_one_beyond_it_is_not() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["client"][0])

    for value in ("203.0.113.7", "1.1.1.1, " * (FORWARDED_LENGTH_MAX // 8) + "203.0.113.7"):
        scope: Any = {
            "type": "http",
            "client": ("10.0.0.1", 1),
            "headers": [(b"x-forwarded-for", value.encode())],
        }
        run(behind_proxies(app, ["10.0.0.1"])(scope, None, None))  # type: ignore[arg-type]
    assert seen == ["203.0.113.7", "10.0.0.1"]


def test_our_cookie_is_found_among_others_and_no_other_is_taken_for_it() -> None:
    def read(header: str) -> str | None:
        return read_cookie(header, "pintuan", length_max=8)

    assert read("pintuan=abc") == read("a=b; pintuan=abc; c") == read(" pintuan = abc ;x=y") == "abc"
    assert read("pintuan=abc; pintuan=d") == "abc"
    assert read("pintuan=a=b=") == "a=b="
    for header in (
        "",
        "pintuan",
        "xpintuan=a",
        "pintuan2=a",
        "a=pintuan=b",
        "PINTUAN=a",
        "pintuan=" + "a" * 9,
    ):
        assert read(header) is None, header
    assert read("a=b;" * COOKIES_MAX + "pintuan=abc") is None
    assert read("a=" + "b" * HEADER_LENGTH_MAX + "; pintuan=abc") is None
