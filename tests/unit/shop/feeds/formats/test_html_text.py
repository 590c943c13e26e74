"""Descriptions in HTML as plain text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pintuan.shop.feeds.formats import html_text
from pintuan.shop.feeds.formats.html_text import HTML_CHARS_MAX, plain_text

HOSTILE_CHARS = 20_000
# Each character is looked at for the next "<", by what the markup is, and by its end.
LOOKS_PER_CHAR_MAX = 4
LEADS = ("", "<a ", "<script>", "<!--", "<a b='")
REPEATED = [
    "<",
    "<!",
    "<!--",
    "<![CDATA[",
    "<!DOCTYPE",
    "<?",
    "</",
    "<a",
    "<a_",
    "<a_x='",
    '<a_x="',
    "<a_x=",
    "<a_x_",
    "</a_",
    "<a/",
    "<!-",
    "<script>",
    "<title>",
    "</script",
    "&",
    "&#",
    "&a",
    "&#x",
    "a=b_",
    "<![",
    "<p>",
    "/_",
    "a/",
    "'",
    "a='",
    "=",
    "a_",
    "-->",
    "--!",
    "&#1",
]


class _Scanned(str):
    """A text that counts the characters looked at in it."""

    looks = 0

    def find(self, *args: Any) -> int:
        sought, at, *_ = args
        found = super().find(sought, at)
        self.looks += (len(self) if found == -1 else found) - at + 1
        return found


class _CountingPattern:
    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def match(self, text: _Scanned, at: int) -> re.Match[str] | None:
        found = self._pattern.match(text, at)
        text.looks += 1 if found is None else found.end() - at + 1
        return found

    def search(self, text: _Scanned, at: int) -> re.Match[str] | None:
        found = self._pattern.search(text, at)
        text.looks += (len(text) if found is None else found.end()) - at + 1
        return found


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("Plain\ntext  stays", "Plain\ntext  stays"),
        ("<p>One</p>\n\n<p>Two<br>Three</p>", "One\nTwo\nThree"),
        ("<ul><li>A</li><li> B\n C</li></ul>", "A\nB C"),
        ("Fish &amp; chips &eacute;", "Fish & chips é"),
        ("<p>5 < 6 <b>bold</b></p>", "5 < 6 bold"),
        ("<style>p {color: red}</style><script>alert('<p>')</script>Text", "Text"),
        ("<p>Unclosed <a href='x'>link", "Unclosed link"),
        ("a\x07b", "ab"),
        ("a<![CDATA[b]]>c<![d", "ac"),
        ("a<!-->b<!--->c<!-- <p> --!>d<!-- e", "abcd"),
        ("a<?php echo 'x' ?>b</3>c</>d", "abcd"),
        ("<a title='>' =\"x>y</a =\">z", "yz"),
        ("<a b= 'c>d' e=f/>g<br/>h", "g\nh"),
        ("5 < 6 <", "5 < 6 <"),
        ("a<b title='c>d", "a"),
        ("<SCRIPT>a</scripty>b</Script >c<title>d", "c"),
        ("&#65;&#x42;&#99999999999;&#xfffffffff;", "AB\ufffd\ufffd"),
    ],
)
def test_markup_becomes_lines(html: str, text: str) -> None:
    assert plain_text(html, chars_max=100) == text


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert plain_text("<p>" + "x" * 50 + "</p>", chars_max=10) == "x" * 9 + "…"


def test_endless_markup_is_not_read_to_its_end() -> None:
    assert plain_text("<p>" + " " * HTML_CHARS_MAX + "hidden", chars_max=100) == ""


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("repeated", REPEATED)
def test_hostile_markup_is_looked_at_as_often_as_honest_markup(
    lead: str, repeated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_COMMENT_END", "_TAG_NAME", "_ATTRIBUTE_NAMES", "_BLANK", "_UNQUOTED"):
        monkeypatch.setattr(html_text, name, _CountingPattern(getattr(html_text, name)))
    ends = {tag: _CountingPattern(pattern) for tag, pattern in html_text._SILENT_ENDS.items()}
    monkeypatch.setattr(html_text, "_SILENT_ENDS", ends)
    one = repeated.replace("_", " ")
    markup = _Scanned((lead + one * (HOSTILE_CHARS // len(one)))[:HOSTILE_CHARS])
    for _ in html_text._pieces(markup):
        pass
    assert markup.looks <= LOOKS_PER_CHAR_MAX * len(markup)


def test_a_number_of_any_length_names_no_character() -> None:
    assert plain_text("a &#" + "1" * 5_000 + "; b &#x" + "1" * 5_000 + "; c", chars_max=20) == (
        "a \ufffd b \ufffd c"
    )
