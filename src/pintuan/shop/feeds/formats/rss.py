"""RSS 2.0 and Atom with the elements of Google's product specification, read as they arrive.

The document is parsed by expat itself, which keeps no tree and knows its line. A document type is refused
where it begins, so no entity is ever declared, expanded or fetched; that is what defusedxml does around the
same parser. Depth, tags, names, fields and their text are bounded. Every name bears its namespace whole, so
that a long one would be copied for each element in it.

Sources: Google Merchant Center "RSS 2.0 specification" and "Atom 1.0 specification"
(support.google.com/merchants/answer/14987622), RFC 4287 for Atom.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol
from xml.parsers import expat

from pintuan.shop.feeds.formats.google import REQUIRED_COLUMNS, google_item
from pintuan.shop.feeds.formats.items import UNREADABLE, BadRow, FeedRow, reason_of
from pintuan.shop.feeds.formats.lines import FeedError

CHUNK_BYTES = 64 * 1024
TAG_BYTES_MAX = 1 << 20
DEPTH_MAX = 64
NAMES_MAX = 10_000
"""Different names of elements, attributes and namespaces; expat keeps each until the document ends."""
NAMESPACE_CHARS_MAX = 1_000
FIELDS_MAX = 1_000
"""Fields of one item; 250 pictures fit, each with other fields beside it."""
ITEM_CHARS_MAX = 1_000_000
"""Text of all fields of one item; descriptions in HTML run on, and are shortened later."""

GOOGLE_NAMESPACE = "base.google.com/ns/1.0"
_ATOM_NAMESPACE = "www.w3.org/2005/Atom"
_RSS_NAMESPACES = ("", "purl.org/rss/1.0", "blogs.law.harvard.edu/tech/rss", "purl.org/dc/elements/1.1")
_SEPARATOR = " "
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_QUOTED_CHARS_MAX = 80
# Google's own elements say it best; the formats' own, and elements without a namespace, are the fallback.
_NAMESPACES = (GOOGLE_NAMESPACE, *_RSS_NAMESPACES, _ATOM_NAMESPACE)
_ITEMS = frozenset((namespace, local) for namespace in _NAMESPACES for local in ("item", "entry"))
_FALLBACKS = {"description": ("summary", "content", "encoded")}
_CONTENT_NAMESPACE = "purl.org/rss/1.0/modules/content"


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def read_rss(
    stream: _Bytes,
    check: Callable[[int], None] = lambda _: None,
    *,
    currency: str,
    encoding: str | None = None,
) -> Iterator[FeedRow]:
    """Yields each item of the document as soon as it ends; `check` is called at every chunk with the
    line it begins in, and may raise. `currency` is that of prices that name none. The document is in
    `encoding`, whatever it declares itself; with None it declares it.

    Raises `FeedError` where the document breaks, which tells how far it got, and after the last element when
    there was no item in it at all.
    """
    # Expat itself reads few encodings, and knows UTF-16 by its first bytes.
    is_transcoded = encoding is not None and encoding not in ("utf-8", "utf-16")
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding and is_transcoded else None
    parser = _ItemParser(currency, "utf-8" if is_transcoded or encoding == "utf-8" else None)
    while chunk := stream.read(CHUNK_BYTES):
        check(parser.line)
        yield from parser.parse(decoder.decode(chunk).encode() if decoder else chunk)
    yield from parser.parse(b"", last=True)
    if parser.items == 0:
        raise FeedError("the document has no item and no entry; it must be RSS 2.0 or Atom")


class _Item:
    """An item being read: the texts of its fields by namespace and name, in the order of the document."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.flaw: str | None = None
        self._fields: dict[tuple[str, str], list[str]] = {}
        self._count = 0

    def add(self, namespace: str, local: str, text: str) -> None:
        """Adds one field."""
        self._count += 1
        if self._count > FIELDS_MAX:
            self.flaw = f"has more than {FIELDS_MAX} fields"
            return
        self._fields.setdefault((namespace, local), []).append(text.strip())

    def finished(self, currency: str) -> Iterator[FeedRow]:
        """Yields what has become of the item."""
        if self.flaw is not None:
            yield BadRow(self.line, self.flaw)
            return
        locals_ = {local for _, local in self._fields}
        cells = {local: self._first(local) for local in locals_}
        for name, others in _FALLBACKS.items():
            cells[name] = next((cells[other] for other in (name, *others) if cells.get(other)), "")
        more_images = [
            text
            for namespace in _NAMESPACES
            for text in self._fields.get((namespace, "additional_image_link"), ())
        ]
        try:
            yield from google_item(self.line, cells, more_images, currency)
        except UNREADABLE as error:
            yield BadRow(self.line, f"{reason_of(error)}{self._elsewhere(cells)}")

    def _first(self, local: str) -> str:
        for namespace in (*_NAMESPACES, _CONTENT_NAMESPACE):
            for text in self._fields.get((namespace, local), ()):
                if text:
                    return text
        return ""

    def _elsewhere(self, cells: Mapping[str, str]) -> str:
        """Returns the namespace that has what is missing, in words, or nothing."""
        missing = {name for name in REQUIRED_COLUMNS if not cells.get(name)}
        namespace = next((namespace for namespace, local in self._fields if local in missing), None)
        if namespace is None or namespace in _NAMESPACES:
            return ""
        return f" in a namespace that is read; another one, {namespace[:_QUOTED_CHARS_MAX]!r}, is not"


def _parts(name: str) -> tuple[str, str]:
    """Returns the namespace and the local name of "namespace local" or "local".

    Namespaces are told apart by what follows the scheme, because software writes https for http.
    """
    namespace, _, local = name.rpartition(_SEPARATOR)
    return _SCHEME.sub("", namespace).strip("/"), local


class _ItemParser:
    """Feeds expat and collects the items that have ended; `items` counts those that began."""

    def __init__(self, currency: str, encoding: str | None) -> None:
        self.items = 0
        self._currency = currency
        self._depth = 0
        self._item: _Item | None = None
        self._item_depth = 0
        self._text: list[str] = []
        self._text_chars = 0
        self._done: list[FeedRow] = []
        self._read_bytes = 0
        self._names: set[str] = set()
        # Without a table of names of its own, which would keep every namespace once for each name in it.
        self._parser = expat.ParserCreate(encoding, namespace_separator=_SEPARATOR, intern=None)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartNamespaceDeclHandler = self._declare_namespace
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    @property
    def line(self) -> int:
        """Where the document is read, counted from 1."""
        return self._parser.CurrentLineNumber

    def parse(self, chunk: bytes, *, last: bool = False) -> Iterator[FeedRow]:
        """Yields the items that ended in this chunk; raises `FeedError` where the document breaks."""
        broken: FeedError | None = None
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "cannot be read")
            broken = FeedError(
                f"the document breaks at line {error.lineno}, in item {self.items}: {reason}; "
                "what follows was not read"
            )
        except FeedError as error:
            broken = error
        except (LookupError, ValueError) as error:
            # What expat does not know itself, pyexpat asks Python's codecs for, and they raise their own.
            broken = FeedError(
                f"the document declares an encoding that cannot be read ({error}); save the feed as UTF-8"
            )
        self._read_bytes += len(chunk)
        done, self._done = self._done, []
        yield from done
        if broken is not None:
            raise broken
        # Expat keeps a tag until it ends; where it stands tells how much it keeps.
        if self._read_bytes - self._parser.CurrentByteIndex > TAG_BYTES_MAX:
            raise FeedError(
                f"the document has a tag longer than {TAG_BYTES_MAX} bytes at line "
                f"{self.line}; what follows was not read"
            )

    def _refuse_doctype(self, *_: object) -> None:
        raise FeedError("the document declares a document type, which a feed must not; remove the DOCTYPE")

    def _declare_namespace(self, prefix: str | None, uri: str | None) -> None:
        if uri is not None and len(uri) > NAMESPACE_CHARS_MAX:
            raise FeedError(
                f"the document has a namespace longer than {NAMESPACE_CHARS_MAX} characters at line "
                f"{self.line}; what follows was not read"
            )
        self._note_names([f"xmlns:{prefix or ''}"])

    def _note_names(self, names: Iterable[str]) -> None:
        self._names.update(names)
        if len(self._names) > NAMES_MAX:
            raise FeedError(
                f"the document has more than {NAMES_MAX} different names at line "
                f"{self.line}; what follows was not read"
            )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._note_names((name, *attributes))
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FeedError(f"the document is nested deeper than {DEPTH_MAX} at line {self.line}")
        if self._item is None:
            if _parts(name) in _ITEMS:
                self.items += 1
                self._item, self._item_depth = _Item(self.line), self._depth
                self._text_chars = 0
        elif self._depth == self._item_depth + 1:
            self._text = []
            # Atom's links stand in an attribute (RFC 4287 section 4.2.7).
            is_link = _parts(name) == (_ATOM_NAMESPACE, "link")
            if is_link and attributes.get("rel", "alternate") == "alternate":
                self._characters(attributes.get("href", ""))

    def _end(self, name: str) -> None:
        if self._item is not None:
            if self._depth == self._item_depth:
                self._done.extend(self._item.finished(self._currency))
                self._item = None
            elif self._depth == self._item_depth + 1:
                self._item.add(*_parts(name), "".join(self._text))
        self._depth -= 1

    def _characters(self, text: str) -> None:
        # What stands deeper belongs to a field of fields, such as the price of a shipping.
        if self._item is None or self._depth != self._item_depth + 1:
            return
        self._text_chars += len(text)
        if self._text_chars <= ITEM_CHARS_MAX:
            self._text.append(text)
        else:
            self._item.flaw = f"is longer than {ITEM_CHARS_MAX} characters"
