"""The files in `sql/migrations`: their names and their first lines.

A file is `NNNN_what.sql`. Three markings may stand in the comment it begins with, each in a line of its own:

    -- no-transaction       the file holds one statement that Postgres refuses inside a transaction
    -- needs: NNNN          versions that do not know migration NNNN cannot run once this file is applied
    -- uses: clock, deals   definitions whose functions the file's tables and triggers stand on

A file without `needs` only adds: every version before it runs on. A file that takes something away names the
migration since which nothing uses it, or itself if no version before can run.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sql.definition_files import USES_MARKER, read_uses
from sql.migration_errors import MigrationFileError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

NO_TRANSACTION_MARKER = "-- no-transaction"
NEEDS_MARKER = "-- needs:"
_FILE_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_NEEDS = re.compile(rf"{NEEDS_MARKER} (?P<number>\d{{4}})")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` without its suffix, and the SHA-256 of its text with line ends as LF.

    `needs` is the number of the migration that a version must know to run once this one is applied; None
    where every version before runs on. `uses` has the keys of definitions that must be there before the file
    is applied.
    """

    number: int
    name: str
    text: str
    sha256: str
    needs: int | None = None
    uses: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file's name, as messages give it."""
        return f"{self.name}.sql"

    @property
    def transactional(self) -> bool:
        """Says whether the file runs in one transaction with its record."""
        return self.text.partition("\n")[0].strip() != NO_TRANSACTION_MARKER


def read_migrations(directory: Path | Traversable) -> list[Migration]:
    """Reads the migrations of a directory in order.

    Raises MigrationFileError on a bad name, a number used twice, or a marking that says nothing.
    """
    migrations: dict[int, Migration] = {}
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationFileError(entry.name, "name it NNNN_what.sql, in lower case")
        number = int(match["number"])
        if number in migrations:
            raise MigrationFileError(entry.name, f"its number is taken by {migrations[number].file}")
        text = entry.read_text(encoding="utf-8")
        migration = Migration(
            number=number,
            name=entry.name.removesuffix(".sql"),
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            needs=_needs(entry.name, number, text),
            uses=read_uses(entry.name, text),
        )
        if migration.uses and not migration.transactional:
            raise MigrationFileError(
                entry.name, f"outside a transaction it can use nothing; leave {USES_MARKER} out"
            )
        migrations[number] = migration
    return list(migrations.values())


def _needs(file: str, own_number: int, text: str) -> int | None:
    """Reads the marking, wherever it stands: one below the first statement would else be passed over."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith(NEEDS_MARKER)]
    if not lines:
        return None
    match = _NEEDS.fullmatch(lines[0])
    if len(lines) > 1 or match is None or not 0 < int(match["number"]) <= own_number:
        raise MigrationFileError(
            file, f"mark it once, as {NEEDS_MARKER} NNNN, with the number of itself or of one before it"
        )
    return int(match["number"])
