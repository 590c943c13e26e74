"""Every query file keeps the format, lies beside the modules that use it, and is used whole."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from sql.loader import QUERIES
from tests.query_files import PACKAGES, PROJECT, QueryFile, package_of, query_files, query_paths

READERS: Final = (*PACKAGES, "benchmarks")
# Modules that read another package's statements, each with its reason. This list may only get shorter.
READERS_FROM_ELSEWHERE: Final[dict[str, str]] = {}


class Module(NamedTuple):
    """A module of the sources."""

    path: Path
    package: str
    nodes: list[ast.AST]

    @property
    def name(self) -> str:
        return f"{self.package}.{self.path.stem}"

    def file_of(self, node: ast.AST | None) -> QueryFile | None:
        """The file that a call of `load_queries` reads; None for anything else."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            return None
        called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if called != "load_queries":
            return None
        given = [
            self.package if isinstance(argument, ast.Name) and argument.id == "__package__" else argument
            for argument in node.args
        ]
        texts = [argument.value if isinstance(argument, ast.Constant) else argument for argument in given]
        assert all(isinstance(text, str) for text in texts), (
            f"{self.path}:{node.lineno}: load_queries takes __package__ and names"
        )
        return QueryFile(str(texts[0]), str(texts[1]) if len(texts) > 1 else QUERIES)

    def files(self) -> set[QueryFile]:
        """The files it reads."""
        return {file for node in self.nodes if (file := self.file_of(node)) is not None}

    def variables(self) -> dict[str, QueryFile]:
        """Its variables that hold the statements of a file."""
        return {
            target.id: file
            for node in self.nodes
            if isinstance(node, ast.Assign | ast.AnnAssign) and (file := self.file_of(node.value))
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }


@cache
def modules() -> tuple[Module, ...]:
    return tuple(
        Module(
            path.relative_to(PROJECT), package_of(path), list(ast.walk(ast.parse(path.read_text("utf-8"))))
        )
        for package in READERS
        for path in sorted((PROJECT / package).rglob("*.py"))
    )


def strings_beside(file: QueryFile) -> set[str]:
    """The string constants of all modules that read a file."""
    return {
        node.value
        for module in modules()
        if file in module.files()
        for node in module.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def lookups() -> Iterator[tuple[str, QueryFile, str]]:
    """Where a statement is looked up by a constant name: place, file, statement."""
    for module in modules():
        variables = module.variables()
        for node in module.nodes:
            if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
                continue
            queries = node.value
            file = variables.get(queries.id) if isinstance(queries, ast.Name) else module.file_of(queries)
            if file is not None:
                yield f"{module.path}:{node.lineno}", file, str(node.slice.value)


def readers_from_elsewhere() -> Iterator[str]:
    """The modules that read a file of another package, or get at one through another package's variable."""
    holders = {
        (module.name, variable): module.package for module in modules() for variable in module.variables()
    }
    for module in modules():
        own = {module.package, f"{module.package}.{QUERIES}"}
        borrowed = {
            holders.get((node.module, alias.name), module.package)
            for node in module.nodes
            if isinstance(node, ast.ImportFrom) and node.module is not None
            for alias in node.names
        }
        if any(file.package not in own for file in module.files()) or borrowed - {module.package}:
            yield module.name


@pytest.mark.parametrize("file", query_files(), ids=str)
def test_every_query_file_keeps_the_format(file: QueryFile) -> None:
    assert len(file.queries) > 0


@pytest.mark.parametrize("file", query_files(), ids=str)
def test_every_statement_is_used_by_a_module_that_reads_its_file(file: QueryFile) -> None:
    used = strings_beside(file)

    assert [name for name in file.queries if name not in used] == []


def test_every_statement_looked_up_exists() -> None:
    found = list(lookups())

    assert found, "the search for lookups finds none, so it searches wrongly"
    assert [lookup for lookup in found if lookup[2] not in lookup[1].queries] == []


def test_nobody_reads_the_statements_of_another_package() -> None:
    """A statement that two packages want stands behind a function of the one it belongs to."""
    assert sorted(readers_from_elsewhere()) == sorted(READERS_FROM_ELSEWHERE)


def test_a_label_says_which_file_its_statement_is_in() -> None:
    counts = Counter(file.noun for file in query_files())

    assert [noun for noun, count in counts.items() if count > 1] == []


def test_every_folder_that_has_statements_is_a_package() -> None:
    folders = {path.parent for path in query_paths()}

    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
