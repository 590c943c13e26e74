"""The documents of the project, and what they quote as code."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(PROJECT).as_posix()
    for pattern in (
        "*.md",
        *(f"{folder}/**/*.md" for folder in ("docs", "benchmarks", "src", "groups", "sql")),
    )
    for path in PROJECT.glob(pattern)
)
BLOCK = re.compile(r"^```.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(document: str) -> str:
    """The whole document, by its path in the project."""
    return (PROJECT / document).read_text()


def code_of(document: str) -> list[str]:
    """Every line of its blocks and every span between backquotes."""
    text = text_of(document)
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    return lines + SPAN.findall(BLOCK.sub("", text))


def links_of(document: str) -> list[str]:
    """Where its links lead."""
    return LINK.findall(BLOCK.sub("", text_of(document)))
