"""Encodings that feeds declare: by a byte order mark, else with the upload, else in the XML declaration."""

from __future__ import annotations

import codecs
import re
from typing import Final

from pintuan.shop.feeds.formats.lines import FeedError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Browsers read these as what they are a part of (encoding.spec.whatwg.org, section 4.2).
_READ_AS: Final = {"ascii": "utf-8", "utf-8-sig": "utf-8", "iso8859-1": "cp1252", "iso8859-9": "cp1254"} | {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
}
# Python knows more names, some of which are no encodings of text, or of which a byte may stand for much text.
_READABLE: Final = """
utf-8 utf-16 utf-16-le utf-16-be cp437 cp850 cp852 cp866 cp874 cp932 cp949 cp1250 cp1251 cp1252 cp1253 cp1254
cp1255 cp1256 cp1257 cp1258 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10
iso8859-13 iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u mac-roman big5 big5hkscs euc_jp gb18030
"""
_READ: Final = frozenset(_READABLE.split())
_DECLARATION: Final = re.compile(
    rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._:-]{0,40})["']"""
)


class UnknownEncoding(FeedError):
    """The feed is declared to be in an encoding that is not read."""


def encoding_of(label: str) -> str:
    """Returns the codec for what a declaration calls an encoding; raises `UnknownEncoding`."""
    try:
        # `lookup` would look for a module of any name.
        name = codecs.lookup(label).name if re.fullmatch(r"[A-Za-z][\w.:-]{0,40}", label, re.ASCII) else ""
    except LookupError:
        name = ""
    name = _READ_AS.get(name, name)
    if name not in _READ:
        raise UnknownEncoding(
            f"the feed declares an encoding that cannot be read ({label[:40]!r}); save the feed as UTF-8"
        )
    return name


def declared_encoding(head: bytes, upload: str | None) -> str | None:
    """Returns what a feed's beginning, or else its upload, says of its encoding; None where nothing does."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return upload


def xml_encoding(head: bytes) -> str | None:
    """Returns the encoding that an XML declaration names, or None; raises `UnknownEncoding`."""
    declared = _DECLARATION.match(head.lstrip())
    return encoding_of(declared[1].decode()) if declared else None
