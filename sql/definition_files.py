"""The files in `sql/definitions`: functions and views, and what the comment of each file says about it.

A file is `<noun>.sql` and only makes functions and views, by CREATE OR REPLACE. Two markings stand in the
comment it begins with, each in a line of its own:

    -- version: N           rises by one with every change of the file, for every release that has the change
    -- uses: clock, deals   definitions that must be applied before this one; left out where there are none

A file is never renamed or deleted once it was released. A file with nothing left to define keeps its comment
and its version, so that an older process leaves alone objects that have moved elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from sql.migration_errors import MigrationFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

VERSION_MARKER = "-- version:"
USES_MARKER = "-- uses:"
_FILE_NAME = re.compile(r"[a-z][a-z0-9_]*\.sql")
_VERSION = re.compile(rf"{VERSION_MARKER} (?P<version>[1-9]\d{{0,8}})")
_USES = re.compile(rf"{USES_MARKER} (?P<names>[a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*)")


@dataclass(frozen=True, slots=True)
class Definition:
    """One file: `key` is its name without the suffix, `uses` the keys of definitions applied before it.

    `sha256` is that of the text with line ends as LF. The higher version of two texts with one key is the
    newer one.
    """

    key: str
    version: int
    uses: tuple[str, ...]
    text: str
    sha256: str

    @property
    def name(self) -> str:
        """The definition as messages list it beside migrations."""
        return f"definitions/{self.key}"

    @property
    def file(self) -> str:
        """The file's name, as messages give it."""
        return f"{self.name}.sql"


def read_definitions(directory: Path | Traversable) -> list[Definition]:
    """Reads the definitions of a directory in an order in which each comes after those it uses.

    Raises MigrationFileError for a bad name or marking, a use of a missing file, and files that use each
    other.
    """
    found: dict[str, Definition] = {}
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql"):
            continue
        if _FILE_NAME.fullmatch(entry.name) is None:
            raise MigrationFileError(f"definitions/{entry.name}", "name it <noun>.sql, in lower case")
        definition = _read(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        found[definition.key] = definition
    for definition in found.values():
        require_known(definition.file, definition.uses, found)
    try:
        order = list(TopologicalSorter({key: found[key].uses for key in found}).static_order())
    except CycleError as error:
        raise MigrationFileError(
            f"definitions/{error.args[1][0]}.sql", f"uses itself: {' -> '.join(error.args[1])}"
        ) from None
    return [found[key] for key in order]


def used_by(uses: Iterable[str], definitions: list[Definition]) -> list[Definition]:
    """Returns the definitions of those keys and all that they use in turn, in the order of `definitions`."""
    wanted = set(uses)
    for definition in reversed(definitions):
        if definition.key in wanted:
            wanted.update(definition.uses)
    return [definition for definition in definitions if definition.key in wanted]


def read_uses(file: str, text: str) -> tuple[str, ...]:
    """Reads the marking `-- uses:` of a file; raises MigrationFileError where it says nothing."""
    lines = _marked(text, USES_MARKER)
    if not lines:
        return ()
    match = _USES.fullmatch(lines[0])
    if len(lines) > 1 or match is None:
        raise MigrationFileError(file, f"mark it once, as {USES_MARKER} clock, deals")
    return tuple(match["names"].split(", "))


def require_known(file: str, uses: Iterable[str], known: Mapping[str, Definition]) -> None:
    """Raises MigrationFileError where a file uses a definition that is not there."""
    for key in uses:
        if key not in known:
            raise MigrationFileError(file, f"uses definitions/{key}.sql, which is not there")


def _read(key: str, text: str) -> Definition:
    file = f"definitions/{key}.sql"
    lines = _marked(text, VERSION_MARKER)
    match = _VERSION.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        raise MigrationFileError(file, f"mark it once, as {VERSION_MARKER} N, with a number from 1 on")
    return Definition(
        key=key,
        version=int(match["version"]),
        uses=read_uses(file, text),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _marked(text: str, marker: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith(marker)]
