"""The guide to a new noun leads to one that works: it is followed here, on a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import PROJECT, text_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GUIDE = "docs/contributing/add-a-noun.md"
COMMAND = re.compile(r"^make noun NAME=(\S+)$", re.MULTILINE)
DIFF = re.compile(r"^```diff\n--- (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".pintuan", "build", "*_cache", "__pycache__", "*-results")
HELD_BY = (
    "tests/unit/test_nouns.py",
    "tests/unit/test_noun_readmes.py",
    "tests/unit/test_documents.py",
    "tests/unit/sql",
    "tests/unit/client/test_calls.py",
    "tests/unit/http/documentation",
    "tests/unit/http/fair_share/test_call_class.py",
    "tests/integration/sql/test_table_owners.py",
    "tests/integration/people/personal/test_every_table.py",
    "tests/integration/fulfilment",
    "tests/acceptance/fulfilment",
)
STEP_TIMEOUT_S = 200


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the steps of the guide were taken."""
    project = tmp_path_factory.mktemp("guide") / "project"
    shutil.copytree(PROJECT, project, ignore=LEFT_OUT)
    (name,) = COMMAND.findall(text_of(GUIDE))
    run(project, "python", "-m", "docs.contributing.new_noun", name)
    diffs = DIFF.findall(text_of(GUIDE))
    assert diffs
    for path, diff in diffs:
        lines = diff.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] == " ")
        text = (project / path).read_text()
        assert text.count(before) == 1, f"{path}: the guide shows what is not there:\n{before}"
        (project / path).write_text(text.replace(before, "".join(line[1:] for line in lines)))
    return project


def run(project: Path, *command: str) -> None:
    """Runs a command of this Python's folder in a copy of the project, with the sources that are there."""
    environment = os.environ | {"PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}"}
    done = subprocess.run(  # noqa: S603 - the commands are this file's own.
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_noun_passes_its_tests_and_those_that_hold_all_nouns(copy: Path) -> None:
    run(copy, "python", "-m", "pytest", "-q", *HELD_BY)


def test_the_noun_is_in_the_projects_style(copy: Path) -> None:
    run(copy, "ruff", "check", ".")
    run(copy, "ruff", "format", "--check", ".")


def test_the_noun_keeps_to_the_contracts_of_imports(copy: Path) -> None:
    run(copy, "lint-imports", "--no-cache")
