"""Loads named SQL statements from the file that lies beside the modules that use them.

A package keeps its statements in `queries.sql`, and its modules read them with `load_queries(__package__)`. A
file of another name is asked for by that name: `load_queries("groups.queries", "lanes")`.

Each statement starts with two comment lines, its name and a sentence saying what it does:

    -- name: insert_deal
    -- Adds a deal and answers its row.
    INSERT INTO deal (id, ...) VALUES ($1, ...) RETURNING *;

Comments before the first statement describe the file. The parser is strict, because a header with a typing
mistake would otherwise become a silent comment inside the statement above it.

A statement's label is `noun.name`. The noun is the last part of the package, or the file's name where it is
not `queries.sql`.

Errors:

    QueryFileError          a file does not keep the format; names file and line
    UnknownQueryFileError   the package has no such file (a KeyError)
    UnknownStatementError   the file has no such statement (a KeyError)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

QUERIES = "queries"
"""The name, without its ending, of the file that a package keeps its statements in."""
AUDIT = "audit"
"""The name of the file with those of the audit, which many packages have."""

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


class UnknownQueryFileError(KeyError):
    """A package has no file of queries of this name; `known` lists those it has."""

    def __init__(self, package: str, file_name: str, known: list[str]) -> None:
        super().__init__(package, file_name)
        self.package = package
        self.file_name = file_name
        self.known = known

    def __str__(self) -> str:
        return f"package {self.package!r} has no {self.file_name}; it has: {', '.join(self.known) or 'none'}"


class UnknownStatementError(KeyError):
    """A file has no statement of this name; `known` lists those it has."""

    def __init__(self, file: str, statement: str, known: list[str]) -> None:
        super().__init__(statement)
        self.file = file
        self.statement = statement
        self.known = known

    def __str__(self) -> str:
        return f"{self.file} has no statement {self.statement!r}; it has: {', '.join(self.known) or 'none'}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: what it does in a sentence, and its SQL with $1.. parameters."""

    name: str
    description: str
    sql: str


class Queries(Mapping[str, str]):
    """The statements of one file by name; a name it lacks raises UnknownStatementError."""

    def __init__(self, file: str, statements: list[Statement]) -> None:
        self.file = file
        self.statements = {statement.name: statement for statement in statements}

    def __getitem__(self, name: str) -> str:
        try:
            return self.statements[name].sql
        except KeyError:
            raise UnknownStatementError(self.file, name, sorted(self.statements)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.statements)

    def __len__(self) -> int:
        return len(self.statements)

    def __repr__(self) -> str:
        return f"<queries of {self.file}: {', '.join(self.statements)}>"


@cache
def load_queries(package: str, name: str = QUERIES) -> Queries:
    """Reads the statements of `<name>.sql` in a package, once per process.

    Raises UnknownQueryFileError when there is no such file, QueryFileError when it does not keep the format.
    """
    texts = _texts_of(package)
    file_name = f"{name}.sql"
    if file_name not in texts:
        raise UnknownQueryFileError(package, file_name, sorted(texts))
    file = f"{package.replace('.', '/')}/{file_name}"
    text = texts[file_name].read_text(encoding="utf-8")
    return Queries(file, parse_statements(noun_of(package, name), text, file=file))


def noun_of(package: str, name: str = QUERIES) -> str:
    """Returns what the labels of a file's statements begin with."""
    noun = package.rpartition(".")[2]
    return {QUERIES: noun, AUDIT: f"{noun}_audit"}.get(name, name)


def parse_statements(noun: str, text: str, *, file: str) -> list[Statement]:
    """Splits a file's text into its statements, in order.

    Each statement's SQL begins with a comment `noun.name`, so that it can be told apart in Postgres' logs and
    in pg_stat_activity. Raises QueryFileError, which says `file`.
    """
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


def _texts_of(package: str) -> dict[str, Traversable]:
    try:
        entries = list(files(package).iterdir())
    except ModuleNotFoundError as error:
        if error.name is None or not f"{package}.".startswith(f"{error.name}."):
            raise
        return {}
    return {entry.name: entry for entry in entries if entry.name.endswith(".sql")}


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
