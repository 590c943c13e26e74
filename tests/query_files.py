"""The files of statements that the sources have, wherever they lie."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sql.loader import Queries, load_queries, noun_of

PROJECT = Path(__file__).parents[1]
PACKAGES = ("src/pintuan", "groups", "workers", "sql")
# These hold the schema, not statements by name.
SCHEMA = {PROJECT / "sql" / "migrations", PROJECT / "sql" / "definitions"}


class QueryFile(NamedTuple):
    """A file of statements: its package and its name without the ending."""

    package: str
    name: str

    def __str__(self) -> str:
        return f"{self.package}/{self.name}"

    @property
    def noun(self) -> str:
        """What its statements' labels begin with."""
        return noun_of(self.package, self.name)

    @property
    def queries(self) -> Queries:
        """Its statements."""
        return load_queries(self.package, self.name)


def query_files() -> list[QueryFile]:
    """Returns every file of statements, in order; Postgres knows only `noun`, which no two have in common."""
    return sorted(QueryFile(package_of(path), path.stem) for path in query_paths())


def query_paths() -> Iterator[Path]:
    """Yields where they lie."""
    for package in PACKAGES:
        for path in (PROJECT / package).rglob("*.sql"):
            if path.parent not in SCHEMA:
                yield path


def package_of(path: Path) -> str:
    """Returns the package that a module or a file of statements belongs to, such as `pintuan.shop.deals`."""
    parts = path.relative_to(PROJECT).parent.parts
    return ".".join(parts[1:] if parts[0] == "src" else parts)
