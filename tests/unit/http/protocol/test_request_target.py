"""A path has one spelling; by any other name it is nothing, and nobody in front need know the others."""

from __future__ import annotations

from typing import Any

import pytest

from pintuan.app import ROUTES
from pintuan.http.protocol.placement_gate import ROUTES as PLACING
from pintuan.http.protocol.placement_gate import route_of
from pintuan.http.protocol.request_target import OneSpelling, is_authority, is_canonical, read_target

pytestmark = pytest.mark.anyio

JOIN = "/v1/deals/deal_1/join"
ALIASES = [
    f"/{JOIN}",
    f"{JOIN}/",
    f"{JOIN}//",
    JOIN.replace("deals", "%64eals"),
    JOIN.replace("/join", "%2fjoin"),
    JOIN.replace("/join", "%2Fjoin"),
    JOIN.replace("deal_1", "deal%5F1"),
    JOIN.replace("/deals", "/./deals"),
    JOIN.replace("/deals", "/x/../deals"),
    JOIN.replace("/deals", "/%2e%2e/v1/deals"),
    "/metrics/",
    "//metrics",
    "/%6detrics",
    "/metrics%2f",
    "/metrics%00",
    "/g/%0d%0aX:%20y",
    "/g/%E6%BC%A2",
    "/docs/.",
    "/..",
    "",
]


@pytest.mark.parametrize(
    "path", ["/", "/metrics", JOIN, "/g/k7mq3xw9bd", "/docs/assets/swagger-ui.css", "/a/.well-known"]
)
def test_the_plain_spelling_is_the_one(path: str) -> None:
    assert is_canonical(path.encode())


@pytest.mark.parametrize("path", ALIASES)
def test_any_other_is_none(path: str) -> None:
    assert not is_canonical(path.encode())


def test_what_reaches_a_placing_route_is_counted_by_the_gate() -> None:
    for route in PLACING:
        path = route.replace("{", "").replace("}", "").encode()
        assert is_canonical(path)
        assert route_of(path) == route_of(path + b"?a=b") == route


def test_a_target_is_taken_apart_at_its_question_mark() -> None:
    assert read_target(b"/a?b=/?") == (b"/a", b"b=/?", None)
    assert read_target(b"/a?") == (b"/a", b"", None)
    assert read_target(b"http://x:80/a?b") == (b"/a", b"b", b"x:80")
    assert read_target(b"https://x") == (b"/", b"", b"x")


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"a",
        b"x:80",
        b"/a#b",
        b"/a?b#c",
        b"/a b",
        b"/\xc3\xa9",
        b"/a\r\nb",
        b"/{",
        b'/"',
        b"http:///a",
        b"http://a@b/",
        b"http://x:99999/",
        b"javascript:1",
    ],
)
def test_what_names_no_path_is_no_target(target: bytes) -> None:
    assert read_target(target) is None


def test_a_host_has_a_name_or_an_address_and_a_port_that_there_is() -> None:
    assert all(map(is_authority, (b"a", b"a:1", b"a:", b"[::1]:2", b"a.b-c_d", b"%41")))
    assert not any(map(is_authority, (b"", b":", b"a:65536", b"a:b", b"[::1", b"a/b", b"a@b", b"a" * 262)))


class Asked:
    """An application that notes the paths that reach it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def ask(
    path: str, method: str = "GET", query: bytes = b""
) -> tuple[int, dict[bytes, bytes], list[str]]:
    app, sent = Asked(), []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
    }
    await OneSpelling(app)(scope, None, send)  # type: ignore[arg-type] # Nobody receives.
    return sent[0]["status"], dict(sent[0]["headers"]), app.paths


@pytest.mark.parametrize("path", ALIASES)
async def test_no_alias_reaches_a_route(path: str) -> None:
    status, _, paths = await ask(path, "POST")
    assert (status, paths) == (404, [])


async def test_a_browser_is_sent_on_to_the_address_without_the_slash() -> None:
    for method in ("GET", "HEAD"):
        status, headers, paths = await ask("/docs/", method, b"a=b")
        assert (status, headers[b"location"], paths) == (308, b"/docs?a=b", [])
    assert (await ask("/docs//"))[0] == 404
    assert (await ask("//evil.example/"))[0] == 404


async def test_a_damaged_link_is_answered_by_the_page_of_links_that_lead_nowhere() -> None:
    for path in ("/g/%E6%BC%A2", "/g/a%20b", "/g//x", "/g/%00"):
        status, _, paths = await ask(path)
        assert (status, paths) == (200, ["/g/~"])


def test_no_route_of_ours_needs_another_spelling() -> None:
    for handler in ROUTES:
        for path in getattr(handler, "paths", ()):
            plain = path.replace("{", "").replace("}", "").replace(":", "")
            assert is_canonical(plain.encode()), path
