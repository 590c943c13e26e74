"""Writes the folder of a new noun: `make noun NAME=fulfilment/shipments`.

The noun that it writes is whole: a table, a call, a method of the client, and tests of them. What it is about
is yours to say. Texts come from `noun/`, where `§` marks what depends on the name.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Final

from pintuan.nouns import NOUNS

PROJECT: Final = Path(__file__).parents[2]
TEMPLATES: Final = Path(__file__).parent / "noun"
GUIDE: Final = "docs/contributing/add-a-noun.md"
# A shelf that the contracts know, and on which nothing stands yet.
EMPTY_SHELVES: Final = ("fulfilment",)
PREFIX_CHARS: Final = 3
_NAME: Final = re.compile(r"([a-z]+)/([a-z]+(?:_[a-z]+)*)")


class _Text(Template):
    """A text with names behind `§`; SQL has dollars of its own."""

    delimiter = "§"


class NameRefused(ValueError):
    """No noun can be made of a name; the message says why."""


def main() -> None:
    """Writes the noun that is named on the command line, and says what is left to do."""
    try:
        written, steps = write_noun(PROJECT, sys.argv[1] if len(sys.argv) > 1 else "")
    except NameRefused as refused:
        sys.exit(f"NAME {refused}")
    _put_in_style(written)
    sys.stdout.write("\n".join(("Wrote", *(f"  {path}" for path in written), "Now", *steps, "")))


def write_noun(project: Path, name: str) -> tuple[list[str], list[str]]:
    """Writes the files of a noun named `shelf/noun`; returns their paths, and the steps that are left.

    Raises:
        NameRefused: the name is none, its shelf is not there, or there is such a noun already.
    """
    shelf, noun = _checked(name)
    words = _words_of(shelf, noun)
    paths = _paths_of(project, shelf, noun)
    for template, path in paths:
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_Text((TEMPLATES / template).read_text("utf-8")).substitute(words), "utf-8")
    steps = [
        f'  src/pintuan/nouns.py: add "{shelf}.{noun}" below every noun that it stands on',
        f"  src/pintuan/client/marketplace.py: add {words['Class']}Calls",
        f'  tests/acceptance/authorisation/access.py: say who may call "list_{noun}"',
        f'  tests/integration/people/personal/test_every_table.py: say that "{noun}" names nobody, as yet',
        f"  {GUIDE}: go on from there",
    ]
    if ("shelf.txt", f"src/pintuan/{shelf}/__init__.py") in paths:
        steps.insert(0, f"  ARCHITECTURE.md, docs/nouns/index.md: say what stands on the new shelf {shelf}")
    return [path for _, path in paths], steps


def _put_in_style(paths: list[str]) -> None:
    """Orders imports and breaks lines, which depend on how long the names are."""
    modules = [path for path in paths if path.endswith(".py")]
    for command in (("check", "--select", "I", "--fix"), ("format",)):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", *modules], cwd=PROJECT, check=True)  # noqa: S603 - our own.


def _checked(name: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise NameRefused(f"must be a shelf and a noun, such as fulfilment/shipments, not {name!r}")
    shelf, noun = match.groups()
    shelves = {known.partition(".")[0] for known in NOUNS} | {*EMPTY_SHELVES}
    if shelf not in shelves:
        raise NameRefused(f"must begin with a shelf: {', '.join(sorted(shelves))}")
    # Labels of statements, and folders of tests, go by the noun alone.
    if noun in {known.partition(".")[2] for known in NOUNS}:
        raise NameRefused(f"must be new, and there is a noun {noun}")
    return shelf, noun


def _words_of(shelf: str, noun: str) -> dict[str, str]:
    one_ = _singular(noun)
    one, many = one_.replace("_", " "), noun.replace("_", " ")
    article = "an" if one[0] in "aeiou" else "a"
    return {
        "shelf": shelf,
        "Shelf": shelf.capitalize(),
        "noun": noun,
        "path": noun.replace("_", "-"),
        "many": many,
        "Many": many.capitalize(),
        "one_": one_,
        "one": one,
        "One": one.capitalize(),
        "a_one": f"{article} {one}",
        "A_one": f"{article.capitalize()} {one}",
        "Class": "".join(part.capitalize() for part in one_.split("_")),
        "prefix": one_.replace("_", "")[:PREFIX_CHARS],
    }


def _singular(noun: str) -> str:
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def _paths_of(project: Path, shelf: str, noun: str) -> list[tuple[str, str]]:
    """Returns each template with the path, in the project, of what is made from it."""
    folder = f"src/pintuan/{shelf}/{noun}"
    numbers = [int(path.name[:4]) for path in (project / "sql" / "migrations").glob("*.sql")]
    paths = [
        ("package.txt", f"{folder}/__init__.py"),
        ("README.txt", f"{folder}/README.md"),
        ("limits.txt", f"{folder}/limits.py"),
        ("schemas.txt", f"{folder}/schemas.py"),
        ("queries.txt", f"{folder}/queries.sql"),
        ("store.txt", f"{folder}/store.py"),
        ("service.txt", f"{folder}/service.py"),
        ("routes.txt", f"{folder}/routes.py"),
        ("client.txt", f"src/pintuan/client/{noun}.py"),
        ("migration.txt", f"sql/migrations/{max(numbers) + 1:04}_{noun}.sql"),
        ("test_store.txt", f"tests/integration/{shelf}/{noun}/test_store.py"),
        ("test_routes.txt", f"tests/acceptance/{shelf}/{noun}/test_routes.py"),
    ]
    if not (project / "src" / "pintuan" / shelf).exists():
        paths += [
            ("shelf.txt", f"src/pintuan/{shelf}/__init__.py"),
            ("shelf_page.txt", f"docs/nouns/{shelf}.md"),
        ]
    return paths


if __name__ == "__main__":
    main()
