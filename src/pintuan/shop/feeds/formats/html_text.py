"""What feeds write in HTML, as plain text: paragraphs and list items become lines of their own.

The markup is cut up as the tokenizer of the HTML standard does (html.spec.whatwg.org, section 13.2.5), and no
tree is built of it. Every step goes on behind the character the step before ended at, and where an end is
missing the text ends, so hostile markup costs no more than honest markup of the same length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

HTML_CHARS_MAX: Final = 100_000
"""What comes after so much markup is not read: far beyond any description."""

ELLIPSIS: Final = "…"
# Elements that a browser begins on a new line.
_BLOCKS: Final = """
address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption
figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol optgroup option p pre search
section summary table tbody tfoot thead tr ul
"""
_LINE_TAGS: Final = frozenset(_BLOCKS.split())
# Elements that stand beside others on a line, with room between them.
_CELLS: Final = frozenset(("button", "input", "select", "td", "textarea", "th"))
# Elements whose content nobody is shown; it ends at their end tag, whatever else stands in it.
_SILENT: Final = "script style template title iframe noembed noframes"
_SILENT_ENDS: Final = {
    tag: re.compile(rf"</{tag}(?=[\t\n\f\r />])", re.ASCII | re.IGNORECASE) for tag in _SILENT.split()
}
_COMMENT_END: Final = re.compile(r"--!?>")
_TAG_NAME: Final = re.compile(r"[A-Za-z][^\t\n\f\r />]*")
# What stands in a tag before its end or the value of an attribute. An equals sign where a name would begin is
# the name's first character.
_ATTRIBUTE_NAMES: Final = re.compile(r"[\t\n\f\r /]*=?[^>=]*=?")
_BLANK: Final = re.compile(r"[\t\n\f\r ]*")
_UNQUOTED: Final = re.compile(r"[^\t\n\f\r >]*")
# Far beyond Unicode; Python reads no decimal number of more than 4,300 digits, and long ones slowly.
_FAR_REFERENCE: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{8,});?")
_NO_CHARACTER: Final = "\ufffd"
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINE_BREAKS: Final = re.compile(r"\n[\n ]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def plain_text(html: str, *, chars_max: int) -> str:
    """Returns the text of some HTML, one line for each paragraph, cut with an ellipsis beyond `chars_max`.

    Text that holds no markup is kept as it is, line breaks included.
    """
    text = html.strip()
    if "<" in text or "&" in text:
        pieces = "".join(_pieces(text[:HTML_CHARS_MAX]))
        text = _LINE_BREAKS.sub("\n", _BLANKS.sub(" ", pieces).replace(" \n", "\n")).strip()
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}{ELLIPSIS}"


def line_text(html: str) -> str:
    """Returns the text of some HTML on one line."""
    return " ".join(plain_text(html, chars_max=HTML_CHARS_MAX).split())


def _pieces(html: str) -> Iterator[str]:
    """Yields the text that a browser would show, and a line break at each end of a block."""
    at = 0
    while at < len(html):
        opening = html.find("<", at)
        if opening == -1:
            opening = len(html)
        if opening > at:
            yield _shown(html[at:opening])
        name, is_end, at = _markup(html, opening)
        if name is None:
            # The character begins no markup, and so it is text.
            yield html[opening:at]
        elif name in _LINE_TAGS:
            yield "\n"
        elif name in _CELLS:
            yield " "
        elif name in _SILENT_ENDS and not is_end:
            end = _SILENT_ENDS[name].search(html, at)
            at = len(html) if end is None else end.start()


def _shown(text: str) -> str:
    # A line break in the source of a page is a blank to whoever reads it.
    return unescape(_FAR_REFERENCE.sub(_NO_CHARACTER, text)).replace("\n", " ").replace("\r", " ")


def _markup(html: str, at: int) -> tuple[str | None, bool, int]:
    """Returns the name of the tag at a "<", whether the tag is an end tag, and where reading goes on.

    A comment has an empty name; a "<" that begins neither has None.
    """
    if html.startswith("<!--", at):
        # "<!-->" and "<!--->" are comments that end at once.
        end = _COMMENT_END.search(html, at + 2)
        return "", False, len(html) if end is None else end.end()
    is_end = html.startswith("</", at)
    name = _TAG_NAME.match(html, at + 1 + is_end)
    if name is not None:
        return name[0].lower(), is_end, _tag_end(html, name.end())
    if is_end or html.startswith(("<!", "<?"), at):
        end_at = html.find(">", at + 2)
        return "", False, len(html) if end_at == -1 else end_at + 1
    return None, False, min(at + 1, len(html))


def _tag_end(html: str, at: int) -> int:
    """Returns where a tag ends whose name ends here; quotes around a value may hold its end's character."""
    while at < len(html):
        at = _behind(_ATTRIBUTE_NAMES, html, at)
        if html.startswith(">", at):
            return at + 1
        at = _value_end(html, at)
    return at


def _value_end(html: str, at: int) -> int:
    at = _behind(_BLANK, html, at)
    quote = html[at : at + 1]
    if quote in ("'", '"'):
        end = html.find(quote, at + 1)
        return len(html) if end == -1 else end + 1
    return _behind(_UNQUOTED, html, at)


def _behind(pattern: re.Pattern[str], html: str, at: int) -> int:
    match = pattern.match(html, at)
    return at if match is None else match.end()
