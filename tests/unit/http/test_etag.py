"""A tag changes with what matters in a body, and a caller who has it gets no body."""

import msgspec
import pytest
from litestar.testing import RequestFactory

from pintuan.http.etag import conditional, etag_of


class Snapshot(msgspec.Struct):
    headcount: int
    server_time: str


BODY = Snapshot(headcount=2, server_time="12:00")
STABLE = Snapshot(headcount=2, server_time="")


def answer(if_none_match: str | None, *, stable: msgspec.Struct | None = None) -> tuple[int, bytes, str]:
    headers = {} if if_none_match is None else {"If-None-Match": if_none_match}
    response = conditional(RequestFactory().get("/", headers=headers), BODY, stable=stable)
    content: object = response.content
    assert isinstance(content, bytes)
    return response.status_code or 200, content, str(response.headers["etag"])


def test_equal_bodies_have_equal_strong_tags() -> None:
    assert etag_of(BODY) == etag_of(msgspec.structs.replace(BODY))
    assert etag_of(BODY).startswith('"')


def test_a_change_changes_the_tag() -> None:
    assert etag_of(BODY) != etag_of(msgspec.structs.replace(BODY, headcount=3))
    assert etag_of(BODY) != etag_of(msgspec.structs.replace(BODY, server_time="12:01"))


def test_what_is_left_out_does_not_change_the_tag_which_is_therefore_weak() -> None:
    later = msgspec.structs.replace(BODY, server_time="12:01")

    assert etag_of(BODY, stable=STABLE) == etag_of(later, stable=STABLE)
    assert etag_of(BODY, stable=STABLE).startswith('W/"')


def test_a_caller_without_a_tag_gets_the_body() -> None:
    status, content, tag = answer(None)

    assert (status, content, tag) == (200, msgspec.json.encode(BODY), etag_of(BODY))


@pytest.mark.parametrize("others", ["{}", '"x", {}', 'W/"x",{} ', "W/{}", "*"])
def test_a_caller_who_has_the_tag_gets_no_body(others: str) -> None:
    assert answer(others.format(etag_of(BODY)))[:2] == (304, b"")


def test_tags_are_compared_weakly() -> None:
    tag = etag_of(BODY, stable=STABLE).removeprefix("W/")

    assert answer(tag, stable=STABLE)[0] == 304


@pytest.mark.parametrize("header", ['"x"', "", "x"])
def test_a_caller_with_another_tag_gets_the_body(header: str) -> None:
    assert answer(header)[0] == 200
