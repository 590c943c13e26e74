"""Whatever a request may have in it that a plain one has not: headers, tokens, bodies, targets, framing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from pintuan.http.bodies import BODY_SIZE_MAX
from tests.acceptance.buying.orders.bodies import MISFITS, NO_JSON_OBJECTS
from tests.acceptance.shoppers import ORDER
from tests.acceptance.two_ways.asking import Request

Change = Callable[[Request], Request]
KEY: Final = b"Idempotency-Key"
TYPE: Final = b"Content-Type"
TOKEN: Final = b"Authorization"


def oddities(credentials: dict[str, bytes]) -> dict[str, Change]:
    """Every change of a plain request, by name; `credentials` are values of Authorization, by whose."""
    found = dict(_headers(credentials))
    found |= {f"body {number}: {body[:40]!r}": _body(body) for number, body in enumerate(_bodies())}
    found |= {f"host {host!r}": _host(host) for host in HOSTS}
    found |= {f"target {added!r}": _target(added) for added in ("?", "?x=1", "/", "#a", "%20", ";a=b")}
    found |= {"escaped target": _escaped, "doubled slash": _doubled, "absolute target": _absolute}
    return found | FRAMING


HOSTS: Final = (
    None,
    b"Host:\r\n",
    b"Host: shop.example:80\r\n",
    b"Host: SHOP.EXAMPLE\r\n",
    b"Host: [::1]:8000\r\n",
    b"Host: x:99999\r\n",
    b"Host: x:-1\r\n",
    b"Host: x:y\r\n",
    b"Host: x/a\r\n",
    b"Host: a@b\r\n",
    b"Host: x?y\r\n",
    b"Host: \xc3\xa9\r\n",
    b"Host: two words\r\n",
    b"Host: one.example\r\nHost: two.example\r\n",
    b"Host: [\r\n",
    b"Host: " + b"x" * 1_000 + b"\r\n",
)


def _headers(credentials: dict[str, bytes]) -> Iterator[tuple[str, Change]]:
    yield "no key", _set(KEY)
    for name, key in KEYS.items():
        yield f"key {name}", _set(KEY, key)
    yield "two keys", _set(KEY, b"one", b"two")
    yield "no media type", _set(TYPE)
    for media_type in TYPES:
        yield f"media type {media_type!r}", _set(TYPE, media_type)
    yield "two media types", _set(TYPE, b"application/json", b"text/plain")
    yield "no token", _set(TOKEN)
    for name, value in credentials.items():
        yield f"as {name}", _set(TOKEN, value)
    yield "another token behind", lambda plain: _add(plain, TOKEN, credentials["a merchant"])
    for name, spell in TOKENS.items():
        yield f"token with {name}", _spelt(spell)
    for line in MORE:
        yield f"header {line!r}"[:60], _set(*line)
    yield "many headers", _many


TOKENS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a small scheme": lambda token: b"bearer " + token,
    "a loud scheme": lambda token: b"BEARER " + token,
    "two spaces": lambda token: b"Bearer  " + token,
    "a tab": lambda token: b"Bearer\t" + token,
    "space around": lambda token: b"  Bearer " + token + b" ",
    "padding": lambda token: b"Bearer " + token + b"==",
    "a comma": lambda token: b"Bearer " + token + b", Bearer " + token,
    "a changed signature": lambda token: b"Bearer " + token[:-4] + token[:-5:-1],
    "no signature": lambda token: b"Bearer " + token.rpartition(b".")[0] + b".",
    "no scheme": lambda token: token,
    "nothing behind the scheme": lambda _token: b"Bearer",
    "nothing": lambda _token: b"",
    "no ASCII": lambda token: b"Bearer \xe9" + token,
    "too much": lambda token: b"Bearer " + token + b"x" * 5_000,
    "another scheme": lambda _token: b"Basic YW5uOmE=",
}
KEYS: Final = {
    "of nothing": b"",
    "of spaces": b"   ",
    "of one character": b"!",
    "of the longest": b"k" * 255,
    "that is too long": b"k" * 256,
    "with a space": b"a b",
    "between spaces": b"  padded  ",
    "with a tab": b"a\tb",
    "in Latin-1": b"caf\xe9",
    "in UTF-8": "ключ".encode(),
    "with a soft hyphen": b"a\xadb",
    "with quotes": b'"quoted"',
    "with a comma": b"a, b",
}
TYPES: Final = (
    b"",
    b"Application/JSON",
    b"application/json; charset=utf-8",
    b"application/json;charset=latin-1",
    b" application/json ",
    b"application/json,text/plain",
    b"application/problem+json",
    b"text/plain",
    b"multipart/form-data",
    b"\xff",
)
MORE: Final[tuple[tuple[bytes, ...], ...]] = (
    (b"X-Request-Id",),
    (b"X-Request-Id", b""),
    (b"X-Request-Id", b"two words"),
    (b"X-Request-Id", b"x" * 129),
    (b"X-Request-Id", b"one", b"two"),
    (b"Connection", b"close"),
    (b"Connection", b"keep-alive"),
    (b"Connection", b"keep-alive, x-request-id"),
    (b"Content-Encoding", b"gzip"),
    (b"Content-Encoding", b"identity"),
    (b"Expect", b"100-continue"),
    (b"Expect", b"something"),
    (b"Accept", b"text/html"),
    (b"Accept-Encoding", b"gzip, br"),
    (b"Accept-Language", b"fr, de;q=0.5"),
    (b"Cookie", b'a="b\\"; __Host-pintuan=x'),
    (b"Forwarded", b"for=1.2.3.4;host=evil.example;proto=https"),
    (b"If-Match", b"*"),
    (b"If-None-Match", b"*"),
    (b"Origin", b"https://evil.example"),
    (b"Range", b"bytes=0-1"),
    (b"Sec-Fetch-Site", b"cross-site"),
    (b"X-Forwarded-For", b"1.2.3.4"),
    (b"X-Forwarded-Host", b"evil.example"),
    (b"X-HTTP-Method-Override", b"DELETE"),
    (b"X-Original-URL", b"/v1/me"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)
FRAMING: Final[dict[str, Change]] = {
    "in chunks": lambda plain: _chunked(plain, len(plain.body)),
    "in chunks of one byte": lambda plain: _chunked(plain, 1),
    "of HTTP/1.0": lambda plain: plain._replace(version=b"HTTP/1.0"),
    "another method": lambda plain: plain._replace(method=b"PUT"),
    "a method in small letters": lambda plain: plain._replace(method=b"post"),
    "a body that is not told of": lambda plain: plain._replace(body=b"", framing=b""),
    "a length with zeros": lambda plain: plain._replace(
        framing=b"Content-Length: 000%d\r\n" % len(plain.body)
    ),
}


def _bodies() -> Iterator[bytes]:
    for changes, _ in MISFITS:
        yield json.dumps(
            {name: value for name, value in (ORDER | changes).items() if value is not ...}
        ).encode()
    yield from NO_JSON_OBJECTS
    yield b"\xef\xbb\xbf" + json.dumps(ORDER).encode()
    yield b'{"payment_method": "pm_ok", "payment_method": "pm_slow"}'
    yield b'{"payment_method": "pm_ok", "ship_to": {"a": 1e400}}'
    yield json.dumps(ORDER | {"offer_id": "another"}).encode()
    yield json.dumps(ORDER | {"offer_id": None}).encode()
    yield json.dumps(ORDER | {"invite_code": None, "ship_to": None}).encode()
    yield b" \n\t" + json.dumps(ORDER).encode() + b" \n"
    yield from (
        _sized(size) for size in (BODY_SIZE_MAX - 1, BODY_SIZE_MAX, BODY_SIZE_MAX + 1, BODY_SIZE_MAX * 2)
    )


def _sized(size: int) -> bytes:
    return json.dumps(ORDER).encode().ljust(size)


def _set(name: bytes, *values: bytes) -> Change:
    return lambda plain: plain.with_header(name, *values)


def _add(plain: Request, name: bytes, value: bytes) -> Request:
    return plain._replace(headers=(*plain.headers, (name, value)))


def _spelt(spell: Callable[[bytes], bytes]) -> Change:
    def change(plain: Request) -> Request:
        own = dict(plain.headers)[TOKEN].removeprefix(b"Bearer ")
        return plain.with_header(TOKEN, spell(own))

    return change


def _body(body: bytes) -> Change:
    return lambda plain: plain._replace(body=body)


def _host(host: bytes | None) -> Change:
    return lambda plain: plain._replace(host=host)


def _target(added: str) -> Change:
    return lambda plain: plain._replace(target=plain.target + added.encode())


def _escaped(plain: Request) -> Request:
    return plain._replace(target=plain.target.replace(b"/v1/", b"/%761/").replace(b"_", b"%5F"))


def _doubled(plain: Request) -> Request:
    return plain._replace(target=plain.target.replace(b"/v1/", b"//v1/"))


def _absolute(plain: Request) -> Request:
    return plain._replace(target=b"http://shop.example" + plain.target)


def _many(plain: Request) -> Request:
    more: Any = tuple((b"X-More-%d" % number, b"x") for number in range(70))
    return plain._replace(headers=plain.headers + more)


def _chunked(plain: Request, size: int) -> Request:
    pieces = [plain.body[start : start + size] for start in range(0, len(plain.body), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return plain._replace(body=body, framing=b"Transfer-Encoding: chunked\r\n")
