"""Every query file keeps the format, and every statement in it is used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sql.loader import known_nouns, load_queries

PROJECT = Path(__file__).parents[3]
PACKAGES = ("src/pintuan", "groups", "workers", "sql", "benchmarks")


def python_modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            yield path.relative_to(PROJECT), ast.parse(path.read_text(encoding="utf-8"))


def noun_loaded_by(node: ast.AST | None) -> str | None:
    """The noun of a call `load_queries("noun")`; None for anything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    if name != "load_queries" or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    return str(node.args[0].value)


def strings_beside_each_noun() -> dict[str, set[str]]:
    """For every noun, the string constants of all modules that load it."""
    strings: dict[str, set[str]] = {}
    for _, module in python_modules():
        nodes = list(ast.walk(module))
        constants = {
            node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for noun in {noun for node in nodes if (noun := noun_loaded_by(node))}:
            strings.setdefault(noun, set()).update(constants)
    return strings


def lookups() -> Iterator[tuple[str, str, str]]:
    """Where a statement is looked up by a constant name: place, noun, statement."""
    for path, module in python_modules():
        nouns = {
            target.id: noun
            for node in ast.walk(module)
            if isinstance(node, ast.Assign | ast.AnnAssign) and (noun := noun_loaded_by(node.value))
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(module):
            if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
                continue
            queries = node.value
            looked_in = nouns.get(queries.id) if isinstance(queries, ast.Name) else noun_loaded_by(queries)
            if looked_in is not None:
                yield f"{path}:{node.lineno}", looked_in, str(node.slice.value)


@pytest.mark.parametrize("noun", known_nouns())
def test_every_query_file_keeps_the_format(noun: str) -> None:
    assert len(load_queries(noun)) > 0


@pytest.mark.parametrize("noun", known_nouns())
def test_every_statement_is_used_by_a_module_that_loads_its_file(noun: str) -> None:
    used = strings_beside_each_noun().get(noun, set())

    assert [name for name in load_queries(noun) if name not in used] == []


def test_every_statement_looked_up_exists() -> None:
    found = list(lookups())

    assert found, "the search for lookups finds none, so it searches wrongly"
    assert [lookup for lookup in found if lookup[2] not in load_queries(lookup[1])] == []
