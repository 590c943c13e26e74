"""The price arithmetic reaches nothing outside itself: no I/O, no clock, no framework, no floats."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pricing

PURE_MODULES = {"__future__", "bisect", "collections.abc", "dataclasses", "operator", "re", "typing"}
IMPURE_BUILTINS = {"open", "print", "input", "eval", "exec", "compile", "__import__", "float", "id", "hash"}
SOURCES = sorted(Path(pricing.__path__[0]).glob("**/*.py"))


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_there_are_modules_to_look_at() -> None:
    assert {source.name for source in SOURCES} >= {"currency.py", "ladder.py", "charge.py"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_pricing_module_imports_only_pure_modules(source: Path) -> None:
    modules = set(imported_modules(ast.parse(source.read_text(encoding="utf-8"))))
    foreign = {name for name in modules if name != "pricing" and not name.startswith("pricing.")}
    assert foreign <= PURE_MODULES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_pricing_module_uses_no_float_and_no_impure_builtin(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), ast.unparse(node)
        assert not isinstance(node, ast.Div), "true division makes floats"
        if isinstance(node, ast.Name):
            assert node.id not in IMPURE_BUILTINS
