"""Every noun says in its README what it is: one page, with the same headings everywhere."""

from __future__ import annotations

import ast

import pytest

from pintuan.nouns import NOUNS, PARTS
from tests.readmes import FOLDERS, HEADINGS, PROJECT, Readme

LINES_MAX = 90
WORDS_MIN = 4
PACKAGES = sorted(
    path for folder in ("src", "groups", "workers") for path in (PROJECT / folder).rglob("__init__.py")
)


@pytest.mark.parametrize("package", FOLDERS)
def test_a_readme_has_the_five_headings(package: str) -> None:
    readme = Readme(package)

    assert readme.path.exists(), "docs/contributing/add-a-noun.md says what belongs into it"
    assert tuple(readme.sections) == HEADINGS
    assert [heading for heading, text in readme.sections.items() if not text] == []


@pytest.mark.parametrize("package", FOLDERS)
def test_a_readme_begins_with_a_sentence_and_stays_a_page(package: str) -> None:
    readme = Readme(package)

    first = readme.beginning.split("\n\n")[0]
    assert first[0].isupper()
    assert first.endswith(".")
    assert len(readme.text.splitlines()) <= LINES_MAX


@pytest.mark.parametrize("noun", NOUNS)
def test_a_readme_says_none_where_its_noun_tells_or_hears_no_event(noun: str) -> None:
    readme = Readme(f"pintuan.{noun}")
    events = readme.sections["Events"].lower()

    assert ("none told" in events) is not (readme.path.parent / "events.py").exists()
    assert ("none heard" in events) is not (readme.path.parent / "reactions.py").exists()


def test_every_part_that_is_registered_is_in_the_guide() -> None:
    rows = (PROJECT / "docs/contributing/where-does-it-go.md").read_text().splitlines()
    told = {row for row in rows if row.startswith("| `")}

    untold = [part for part in PARTS if not any(f"`{part}.py`" in row for row in told)]
    assert untold == [], "the table of a noun's files says what each part has"


def test_nothing_else_in_the_sources_has_a_readme() -> None:
    """What is no noun is described by the docstring of its package."""
    found = {
        path.parent
        for folder in ("src", "groups", "sql", "workers")
        for path in (PROJECT / folder).rglob("README.md")
    }

    assert found == {PROJECT / folder for folder in FOLDERS.values()}


def test_every_package_says_at_its_door_what_is_inside() -> None:
    doors = {path.parent: ast.get_docstring(ast.parse(path.read_text())) for path in PACKAGES}

    assert [folder for folder, sign in doors.items() if len((sign or "").split()) < WORDS_MIN] == []
