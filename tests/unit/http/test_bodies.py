"""Bodies are decoded strictly, and what does not fit is named by its path."""

from typing import Annotated

import msgspec
import pytest

from pintuan.base.errors import FieldError, InvalidInput, UnsupportedMediaType
from pintuan.base.wire.patterns import (
    CURRENCY_PATTERN,
    IMAGE_URL_PATTERN,
    INVITE_CODE_PATTERN,
    LINE_OR_NOTHING_PATTERN,
    LINE_PATTERN,
    TEXT_PATTERN,
)
from pintuan.http.bodies import decode_body, require_json


class Price(msgspec.Struct, forbid_unknown_fields=True):
    amount: Annotated[int, msgspec.Meta(ge=1)]


class Line(msgspec.Struct, forbid_unknown_fields=True):
    price: Price


class Basket(msgspec.Struct, forbid_unknown_fields=True):
    lines: list[Line]
    note: str = ""
    labels: dict[str, int] = {}


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        (b'{"lines": [{"price": {"amount": 0}}]}', "lines[0].price.amount", "Expected `int` >= 1"),
        (b'{"lines": [{"price": {"amount": "2"}}]}', "lines[0].price.amount", "got `str`"),
        (b'{"lines": [{"price": {"amount": 2.0}}]}', "lines[0].price.amount", "got `float`"),
        (b'{"lines": [{"price": {"amount": true}}]}', "lines[0].price.amount", "got `bool`"),
        (b'{"lines": [{}]}', "lines[0].price", "is required"),
        (b"{}", "lines", "is required"),
        (b'{"lines": [], "x": 1}', "x", "is not a field"),
        (b'{"lines": [{"price": {"amount": 1, "y": 2}}]}', "lines[0].price.y", "is not a field"),
        (b'{"lines": [], "note": null}', "note", "got `null`"),
        (b'{"lines": [], "labels": {"a": "b"}}', "labels[...]", "got `str`"),
        (b"[]", "body", "got `array`"),
        (b"null", "body", "got `null`"),
        (b"", "body", "not valid JSON"),
        (b'{"lines"', "body", "not valid JSON"),
        (b'{"lines": []} x', "body", "not valid JSON"),
        (b'{"lines": NaN}', "body", "not valid JSON"),
        (b'{"lines": [], "note": "\xff"}', "body", "not valid JSON"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(body: bytes, field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        decode_body(body, Basket)

    (error,) = refusal.value.errors
    assert isinstance(error, FieldError)
    assert error.field == field
    assert said in error.message


@pytest.mark.parametrize(
    ("pattern", "text", "said"),
    [
        (LINE_PATTERN, "  ", "must be one line with something to read on it"),
        (LINE_OR_NOTHING_PATTERN, "two\nlines", "must be one line"),
        (TEXT_PATTERN, "a\x00", "NUL"),
        (IMAGE_URL_PATTERN, "kettle.jpg", "begins with http:// or https://"),
        (INVITE_CODE_PATTERN, "\u00e9", "letters A to Z, digits"),
        (CURRENCY_PATTERN, "usd", "such as USD"),
    ],
)
def test_a_pattern_that_does_not_match_is_told_in_words(pattern: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        decode_body(msgspec.json.encode([text]), list[Annotated[str, msgspec.Meta(pattern=pattern)]])

    (error,) = refusal.value.errors
    assert said in error.message
    assert pattern not in error.message


def test_a_body_that_fits_is_decoded() -> None:
    assert decode_body(b'{"lines": [{"price": {"amount": 3}}]}', Basket) == Basket([Line(Price(3))])


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken(content_type: str) -> None:
    require_json(content_type)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonp", "application/xml"])
def test_any_other_media_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        require_json(content_type)
