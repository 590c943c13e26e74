"""Descriptions in HTML as plain text."""

from __future__ import annotations

import pytest

from pintuan.catalog.feeds.html_text import HTML_CHARS_MAX, plain_text


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
    ],
)
def test_markup_becomes_lines(html: str, text: str) -> None:
    assert plain_text(html, chars_max=100) == text


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert plain_text("<p>" + "x" * 50 + "</p>", chars_max=10) == "x" * 9 + "…"


def test_endless_markup_is_not_read_to_its_end() -> None:
    assert plain_text("<p>" + " " * HTML_CHARS_MAX + "hidden", chars_max=100) == ""
