"""SECURITY.md names for every threat a defence, and tests that are there and hold it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.documents import PROJECT, text_of

PAGE = "SECURITY.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TEST = re.compile(r"`([^`]+)`")
ROWS_MIN = 30


class Threat(NamedTuple):
    """One row."""

    what: str
    defence: str
    tests: list[str]


def threats() -> Iterator[Threat]:
    """Every row of the tables under the heading Threats."""
    _, _, section = text_of(PAGE).partition("\n## Threats\n")
    section, _, _ = section.partition("\n## ")
    for what, defence, held_by in ROW.findall(section):
        if what != "threat" and not set(what) <= set("-|"):
            yield Threat(what, defence, TEST.findall(held_by))


def names_of_tests(path: Path) -> list[str]:
    """The names of the tests of a module."""
    tree = ast.parse(path.read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if function.name.startswith("test_")]


def test_the_tables_are_read_in_full() -> None:
    _, _, section = text_of(PAGE).partition("\n## Threats\n")
    section, _, _ = section.partition("\n## ")
    lines = [
        line
        for line in section.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| threat"))
    ]
    assert len(lines) == len(list(threats())) >= ROWS_MIN


@pytest.mark.parametrize("threat", list(threats()), ids=lambda threat: threat.what[:50])
def test_a_threat_has_a_defence_and_tests_that_are_there(threat: Threat) -> None:
    assert threat.defence
    assert threat.tests, "no test is named"
    for name in threat.tests:
        assert re.fullmatch(r"tests/[\w/]+/test_\w+\.py", name), name
        assert names_of_tests(PROJECT / name), f"{name} has no tests"


def test_it_says_how_to_report_and_what_is_supported() -> None:
    headings = re.findall(r"^## (.+)$", text_of(PAGE), re.MULTILINE)
    assert {"Report a weakness", "Supported versions", "Who is expected", "Threats"} <= set(headings)
