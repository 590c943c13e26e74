"""Descriptions written in HTML, as plain text: paragraphs and list items become lines of their own."""

from __future__ import annotations

import re
from html.parser import HTMLParser

HTML_CHARS_MAX = 100_000
"""What comes after so much markup is not read: far beyond any description, and parsing takes its time."""

# Elements that a browser begins on a new line.
_BLOCKS = """
address article aside blockquote br dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li main
nav ol p pre section table tr ul
"""
_LINE_TAGS = frozenset(_BLOCKS.split())
_SILENT_TAGS = frozenset(("script", "style", "template", "title"))
_BLANKS = re.compile(r"[^\S\n]+")
_LINE_BREAKS = re.compile(r" ?(?:\n ?)+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def plain_text(html: str, *, chars_max: int) -> str:
    """Returns the text of some HTML, one line for each paragraph, cut with an ellipsis beyond `chars_max`.

    Text that holds no markup is kept as it is, line breaks included.
    """
    text = html.strip()
    if "<" in text or "&" in text:
        collector = _TextCollector()
        collector.feed(text[:HTML_CHARS_MAX])
        collector.close()
        text = _LINE_BREAKS.sub("\n", _BLANKS.sub(" ", "".join(collector.pieces))).strip()
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"


class _TextCollector(HTMLParser):
    """Collects the text that a browser would show, with a line break around each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent_in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class names what it hands in.
        if tag in _SILENT_TAGS and self._silent_in is None:
            self._silent_in = tag
        elif tag in _LINE_TAGS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent_in:
            self._silent_in = None
        elif tag in _LINE_TAGS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._silent_in is None:
            # A line break in the source of a page is a blank to whoever reads it.
            self.pieces.append(data.replace("\n", " ").replace("\r", " "))
