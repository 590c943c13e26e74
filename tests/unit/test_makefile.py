"""The Makefile explains itself, and offers one command for each thing a newcomer does."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
EXPECTED = {
    "install",
    "run",
    "test",
    "test-all",
    "soak",
    "check",
    "format",
    "lint",
    "messages",
    "docs",
    "noun",
    "clean",
    "help",
}
MAKE_TIMEOUT_S = 20


def make(*arguments: str) -> str:
    # An outer make's flags, say of `make test`, would change what this one prints.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(  # noqa: S603 - the arguments are this file's own.
        ["make", "--no-print-directory", *arguments],  # noqa: S607 - whichever make the machine has.
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=MAKE_TIMEOUT_S,
    ).stdout


def declared_targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    return set(phony[1].split())


def test_every_expected_target_exists() -> None:
    assert declared_targets() == EXPECTED


def test_make_help_explains_every_target() -> None:
    explained = dict(re.findall(r"^make (\S+) +(\S.*)$", make("help"), re.MULTILINE))

    assert explained.keys() == declared_targets()


def test_make_alone_is_make_help() -> None:
    assert make() == make("help")


def test_running_and_testing_install_first() -> None:
    for target in EXPECTED - {"install", "help", "clean"}:
        plan = make("--dry-run", "--always-make", target)
        assert "pip install" in plan, f"make {target} does not install first"


def test_the_constraints_name_packages_and_versions_only() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()

    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    names = [re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines]
    assert len(names) == len(set(names)), "a package is pinned twice"


def test_the_build_backend_is_pinned() -> None:
    assert re.search(r"^hatchling==", (PROJECT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_tests_of_one_noun_can_be_run_alone() -> None:
    command = make("--dry-run", "test", "ONLY=refunds").splitlines()[-1]

    folders = set(command.split()) & {str(path.relative_to(PROJECT)) for path in PROJECT.glob("tests/*/*/*")}
    assert folders == {"tests/acceptance/money/refunds", "tests/integration/money/refunds"}


def test_a_noun_without_tests_is_named() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        make("--dry-run", "test", "ONLY=nowhere")

    assert "No folder of tests is called nowhere" in failure.value.stderr
