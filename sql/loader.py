"""Loads named SQL statements from `sql/queries/<noun>.sql`.

Each statement starts with two comment lines, its name and a sentence saying what it does:

    -- name: insert_deal
    -- Adds a deal and answers its row.
    INSERT INTO deal (id, ...) VALUES ($1, ...) RETURNING *;

Comments before the first statement describe the file. The parser is strict, because a header with a typing
mistake would otherwise become a silent comment inside the statement above it.

Errors:

    QueryFileError          a file does not keep the format; names file and line
    UnknownNounError        there is no such file (a KeyError)
    UnknownStatementError   the file has no such statement (a KeyError)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_HEADER = re.compile(r"-- name: (?P<name>[a-z][a-z0-9_]*)")
_HEADER_MEANT = re.compile(r"\s*--+\s*name\b\s*:?\s*\w*\s*$", re.IGNORECASE)
_DESCRIPTION = re.compile(r"-- (?P<text>\S.*)")


class QueryFileError(ValueError):
    """A query file does not keep the format; `file` and 1-based `line_number` say where."""

    def __init__(self, file: str, line_number: int, reason: str) -> None:
        super().__init__(f"{file}:{line_number}: {reason}")
        self.file = file
        self.line_number = line_number
        self.reason = reason


class UnknownNounError(KeyError):
    """No file of queries has this name; `known` lists those there are."""

    def __init__(self, noun: str, known: list[str]) -> None:
        super().__init__(noun)
        self.noun = noun
        self.known = known

    def __str__(self) -> str:
        return f"no queries for {self.noun!r}; there are: {', '.join(self.known) or 'none'}"


class UnknownStatementError(KeyError):
    """The noun's file has no statement of this name; `known` lists those it has."""

    def __init__(self, noun: str, statement: str, known: list[str]) -> None:
        super().__init__(statement)
        self.noun = noun
        self.statement = statement
        self.known = known

    def __str__(self) -> str:
        return (
            f"{self.noun}.sql has no statement {self.statement!r}; it has: {', '.join(self.known) or 'none'}"
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: what it does in a sentence, and its SQL with $1.. parameters."""

    name: str
    description: str
    sql: str


class Queries(Mapping[str, str]):
    """The statements of one noun by name; a name it lacks raises UnknownStatementError."""

    def __init__(self, noun: str, statements: list[Statement]) -> None:
        self.noun = noun
        self.statements = {statement.name: statement for statement in statements}

    def __getitem__(self, name: str) -> str:
        try:
            return self.statements[name].sql
        except KeyError:
            raise UnknownStatementError(self.noun, name, sorted(self.statements)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.statements)

    def __len__(self) -> int:
        return len(self.statements)

    def __repr__(self) -> str:
        return f"<queries of {self.noun}: {', '.join(self.statements)}>"


def known_nouns() -> list[str]:
    """The nouns that have a file of queries, sorted."""
    return sorted(
        entry.name.removesuffix(".sql") for entry in _folder().iterdir() if entry.name.endswith(".sql")
    )


@cache
def load_queries(noun: str) -> Queries:
    """Reads the statements of one noun, once per process.

    Raises UnknownNounError when there is no such file, QueryFileError when it does not keep the format.
    """
    if _NAME.fullmatch(noun) is None or noun not in known_nouns():
        raise UnknownNounError(noun, known_nouns())
    text = _folder().joinpath(f"{noun}.sql").read_text(encoding="utf-8")
    return Queries(noun, parse_statements(noun, text))


def parse_statements(noun: str, text: str) -> list[Statement]:
    """Splits the text of `<noun>.sql` into its statements, in order.

    Each statement's SQL begins with a comment `noun.name`, so that it can be told apart in Postgres' logs and
    in pg_stat_activity. Raises QueryFileError.
    """
    file = f"{noun}.sql"
    lines = text.splitlines()
    starts = [index for index, line in enumerate(lines) if _is_header(file, index, line)]
    if not starts:
        raise QueryFileError(file, 1, "the file has no statement")
    _refuse_sql_before_first(file, lines[: starts[0]])
    ends = [*starts[1:], len(lines)]
    statements: list[Statement] = []
    for start, end in zip(starts, ends, strict=True):
        statement = _parse_one(noun, file, start, lines[start:end])
        if any(earlier.name == statement.name for earlier in statements):
            raise QueryFileError(
                file, start + 1, f"the name {statement.name!r} is taken by a statement above"
            )
        statements.append(statement)
    return statements


def _folder() -> Traversable:
    return files("sql").joinpath("queries")


def _is_header(file: str, index: int, line: str) -> bool:
    if _HEADER.fullmatch(line):
        return True
    if _HEADER_MEANT.match(line):
        raise QueryFileError(file, index + 1, f"write a statement's name as '-- name: a_name', not {line!r}")
    return False


def _refuse_sql_before_first(file: str, lines: list[str]) -> None:
    for index, line in enumerate(lines):
        if line.strip() and not line.startswith("--"):
            raise QueryFileError(file, index + 1, "SQL before the first '-- name: ' line")


def _parse_one(noun: str, file: str, start: int, lines: list[str]) -> Statement:
    header = _HEADER.fullmatch(lines[0])
    if header is None:
        raise QueryFileError(file, start + 1, "not a '-- name: ' line")
    name = header["name"]
    described = _DESCRIPTION.fullmatch(lines[1]) if len(lines) > 1 else None
    if described is None:
        raise QueryFileError(file, start + 2, f"{name!r} needs a line '-- ' saying what it does")
    body = lines[2:]
    if all(not line.strip() or line.lstrip().startswith("--") for line in body):
        raise QueryFileError(file, start + 1, f"{name!r} has no SQL")
    sql = "\n".join(body).strip()
    return Statement(name=name, description=described["text"].strip(), sql=f"/* {noun}.{name} */\n{sql}")
