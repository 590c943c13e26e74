"""RSS 2.0 and Atom with the elements of Google's product specification, read as they arrive.

The document is parsed by expat itself, which keeps no tree and knows its line. A document type is refused
where it begins, so no entity is ever declared, expanded or fetched; that is what defusedxml does around the
same parser. Depth, tags, names, fields and their text are bounded. Every name bears its namespace whole, so
that a long one would be copied for each element in it.

Sources: Google Merchant Center "RSS 2.0 specification" and "Atom 1.0 specification"
(support.google.com/merchants/answer/14987622), RFC 4287 for Atom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from xml.parsers import expat

from pintuan.shop.catalog import limits
from pintuan.shop.feeds.formats.google import google_item
from pintuan.shop.feeds.formats.html_text import plain_text
from pintuan.shop.feeds.formats.items import UNREADABLE, BadRow, FeedItem, reason_of
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

GOOGLE_NAMESPACE = "http://base.google.com/ns/1.0"
_ATOM_NAMESPACE = "http://www.w3.org/2005/Atom"
_SEPARATOR = " "
_ITEMS = frozenset(("item", f"{_ATOM_NAMESPACE}{_SEPARATOR}entry"))
# Google's own elements say it best; the formats' own, and elements without a namespace, are the fallback.
_NAMESPACES = (GOOGLE_NAMESPACE, "", _ATOM_NAMESPACE)
_FALLBACKS = {"description": ("summary", "content")}


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def read_rss(stream: _Bytes, check: Callable[[int], None] = lambda _: None) -> Iterator[FeedItem | BadRow]:
    """Yields each item of the document as soon as it ends; `check` is called at every chunk with the
    line it begins in, and may raise.

    Raises `FeedError` where the document breaks, which tells how far it got, and after the last element when
    there was no item in it at all.
    """
    parser = _ItemParser()
    while chunk := stream.read(CHUNK_BYTES):
        check(parser.line)
        yield from parser.parse(chunk)
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

    def add(self, name: str, text: str) -> None:
        """Adds one field; its name is "namespace local" or "local"."""
        self._count += 1
        if self._count > FIELDS_MAX:
            self.flaw = f"has more than {FIELDS_MAX} fields"
            return
        namespace, _, local = name.rpartition(_SEPARATOR)
        self._fields.setdefault((namespace, local), []).append(text.strip())

    def finished(self) -> FeedItem | BadRow:
        """Returns what has become of the item."""
        if self.flaw is not None:
            return BadRow(self.line, self.flaw)
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
            cells["description"] = plain_text(cells["description"], chars_max=limits.DESCRIPTION_CHARS_MAX)
            return google_item(self.line, cells, more_images)
        except UNREADABLE as error:
            return BadRow(self.line, reason_of(error))

    def _first(self, local: str) -> str:
        for namespace in _NAMESPACES:
            for text in self._fields.get((namespace, local), ()):
                if text:
                    return text
        return ""


class _ItemParser:
    """Feeds expat and collects the items that have ended; `items` counts those that began."""

    def __init__(self) -> None:
        self.items = 0
        self._depth = 0
        self._item: _Item | None = None
        self._item_depth = 0
        self._text: list[str] = []
        self._text_chars = 0
        self._done: list[FeedItem | BadRow] = []
        self._read_bytes = 0
        self._names: set[str] = set()
        # Without a table of names of its own, which would keep every namespace once for each name in it.
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR, intern=None)
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

    def parse(self, chunk: bytes, *, last: bool = False) -> Iterator[FeedItem | BadRow]:
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
            if name in _ITEMS:
                self.items += 1
                self._item, self._item_depth = _Item(self.line), self._depth
                self._text_chars = 0
        elif self._depth == self._item_depth + 1:
            self._text = []
            # Atom's links stand in an attribute (RFC 4287 section 4.2.7).
            if (
                name == f"{_ATOM_NAMESPACE}{_SEPARATOR}link"
                and attributes.get("rel", "alternate") == "alternate"
            ):
                self._characters(attributes.get("href", ""))

    def _end(self, name: str) -> None:
        if self._item is not None:
            if self._depth == self._item_depth:
                self._done.append(self._item.finished())
                self._item = None
            elif self._depth == self._item_depth + 1:
                self._item.add(name, "".join(self._text))
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
