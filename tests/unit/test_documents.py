"""What the documents tell a reader to run, to open or to look up is there."""

import re
from urllib.parse import urlsplit

import click
import pytest

from pintuan.cli import SUBCOMMANDS, main
from tests.documents import DOCUMENTS, PROJECT, SPAN, code_of, links_of, text_of

COMMAND = re.compile(r"(?:^|[\s(/])pintuan ([a-z]+)(.*)")
OPTION = re.compile(r"(?<!\S)--[a-z-]+")
TARGET = re.compile(r"(?:^|\s)make ([a-z-]+)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|sql|lua|toml|txt|md|ya?ml))")
NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
SOURCES = ("benchmarks", "groups", "pricing", "sql", "src", "workers")
ROOTS = (PROJECT, PROJECT / "src", PROJECT / "groups")
"""What a path in a document may be relative to: inside a package its name goes without saying."""
PATHS_THROUGH_THE_SOURCES = 5
"""A join, a capture, an invitation, a merchant's webhook, an erasure."""
FOR_CONTRIBUTORS = "docs/contributing/"
"""These pages speak of any noun's `routes.py`, and of what is there for tests alone."""
PARTS = {path.name for path in (PROJECT / "src" / "pintuan").glob("*/*/*.*")}


def found(pattern: re.Pattern[str]) -> list[tuple[str, ...]]:
    """What the code in all documents has of a pattern; each finding ends with its document."""
    return [
        (*match.groups(), document)
        for document in DOCUMENTS
        for code in code_of(document)
        for match in pattern.finditer(code)
    ]


def test_the_front_page_and_the_map_are_among_the_documents() -> None:
    assert {"README.md", "ARCHITECTURE.md"} < set(DOCUMENTS)


def test_every_subcommand_they_mention_exists_and_takes_the_options() -> None:
    mentions = found(COMMAND)
    assert len({name for name, *_ in mentions}) > 1
    for name, rest, document in mentions:
        assert name in SUBCOMMANDS, f"{document}: pintuan {name}"
        command = main.get_command(click.Context(main), name)
        assert command is not None
        if isinstance(command, click.Group) and rest.split():
            inner = command.get_command(click.Context(command), rest.split()[0])
            assert inner is not None, f"{document}: pintuan {name}{rest}"
            command = inner
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(OPTION.findall(rest)) <= options, f"{document}: pintuan {name}{rest}"


def test_every_make_target_they_mention_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    mentions = found(TARGET)
    assert mentions
    assert [mention for mention in mentions if mention[0] not in targets] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_within_the_project_leads_somewhere(document: str) -> None:
    for link in links_of(document):
        parts = urlsplit(link)
        if not parts.scheme:
            assert ((PROJECT / document).parent / parts.path).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_they_name_exists(document: str) -> None:
    made_by_running = set((PROJECT / ".gitignore").read_text().split())
    of_any_noun = PARTS if document.startswith(FOR_CONTRIBUTORS) else set()
    for code in code_of(document):
        if PATH.fullmatch(code) and code not in made_by_running | of_any_noun:
            roots = (*ROOTS, (PROJECT / document).parent)
            assert any((root / code).exists() for root in roots), code


def test_no_path_through_the_sources_leads_to_a_file_twice() -> None:
    chapter = text_of("ARCHITECTURE.md").partition("\n## Paths to follow\n")[2].partition("\n## ")[0]
    paths = chapter.split("\n### ")[1:]

    assert len(paths) == PATHS_THROUGH_THE_SOURCES
    for path in paths:
        files = [code for code in SPAN.findall(path) if PATH.fullmatch(code)]
        assert len(files) == len(set(files)), f"{path.splitlines()[0]}: {files}"


def text_of_sources(*folders: str) -> str:
    paths = {path for folder in folders for path in (PROJECT / folder).rglob("*.*")}
    return "\n".join(path.read_text() for path in paths if path.suffix in {".py", ".sql", ".lua"})


def test_every_constraint_and_function_they_name_is_in_the_sources() -> None:
    sources, tests = text_of_sources(*SOURCES), text_of_sources("tests")
    named = {(code, document) for document in DOCUMENTS for code in code_of(document) if NAME.fullmatch(code)}
    assert "order_seat_once" in {name for name, _ in named}
    gone = [
        (name, document)
        for name, document in sorted(named)
        if not re.search(rf"\b{name}\b", sources)
        and not (document.startswith(FOR_CONTRIBUTORS) and re.search(rf"\b{name}\b", tests))
    ]
    assert gone == []
