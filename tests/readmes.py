"""The READMEs of nouns, and of what nouns stand on, read by their headings."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Final

from pintuan.nouns import NOUNS

PROJECT: Final = Path(__file__).parents[1]
HEADINGS: Final = ("Words", "Tables", "Events", "Invariants", "Where to begin reading")
# Packages below the nouns that own tables.
FOUNDATIONS: Final = {"sql": "sql", "groups": "groups", "pintuan.base": "src/pintuan/base"}
FOLDERS: Final = FOUNDATIONS | {f"pintuan.{noun}": f"src/pintuan/{noun.replace('.', '/')}" for noun in NOUNS}
_TABLE_ROW: Final = re.compile(r"^\| `([a-z_.]+)` \|", re.MULTILINE)
_ALSO_WRITES: Final = re.compile(r"^Also writes (.+?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"`([a-z_.]+)`")


class Readme:
    """The README of a package."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.path = PROJECT / FOLDERS[package] / "README.md"

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @property
    def beginning(self) -> str:
        """The text between title and first heading; its first line says what the noun is."""
        return self.text.partition("\n")[2].partition("\n## ")[0].strip()

    @cached_property
    def sections(self) -> dict[str, str]:
        """The text below each second-level heading, in order."""
        _, *parts = re.split(r"^## (.+)$", self.text, flags=re.MULTILINE)
        return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))

    @property
    def owned(self) -> list[str]:
        """The tables it says are its own."""
        return _TABLE_ROW.findall(self.sections["Tables"])

    @property
    def also_written(self) -> set[str]:
        """The tables of others that it says its statements write."""
        return {
            name for text in _ALSO_WRITES.findall(self.sections["Tables"]) for name in _NAME.findall(text)
        }


def owner_of(package: str) -> str | None:
    """Returns whose README tells of a package's statements; None for one of no noun, such as the audit."""
    return next((owner for owner in FOLDERS if f"{package}.".startswith(f"{owner}.")), None)
