"""Shows the READMEs of the nouns on the site, a page for each shelf.

A Sphinx extension: the page `nouns/<shelf>` has a few lines of its own, and gets the README of each noun of
the shelf when it is read. The links of a README are written for readers of the code; here they lead to the
pages of the same documents.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pintuan.nouns import NOUNS

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PAGES: Final = "nouns/"
# The shelf of what nouns stand on, which are no nouns.
FOUNDATIONS: Final = "foundations"
_PROJECT: Final = Path(__file__).parents[1]
_SOURCES: Final = PurePosixPath("src/pintuan")
_OF_FOUNDATIONS: Final = (_SOURCES / "base", PurePosixPath("groups"), PurePosixPath("sql"))
_README: Final = "README.md"
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)\s:]+)\)")
_HEADING: Final = re.compile(r"^#", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension; Sphinx calls it by this name."""
    app.connect("env-get-outdated", _outdated)
    app.connect("source-read", _append_readmes)
    return {"parallel_read_safe": True}


def folders_of(shelf: str) -> tuple[PurePosixPath, ...]:
    """Returns the folders whose READMEs a page shows, by their paths in the project."""
    if shelf == FOUNDATIONS:
        return _OF_FOUNDATIONS
    return tuple(_SOURCES / noun.replace(".", "/") for noun in NOUNS if noun.partition(".")[0] == shelf)


def section_of(folder: PurePosixPath, page: str) -> str:
    """Returns the README of a folder as a section of a page: a level deeper, its links those of the site."""
    text = (_PROJECT / folder / _README).read_text(encoding="utf-8")
    deeper = _HEADING.sub("##", text)
    shown = _LINK.sub(lambda link: _link(link[1], folder, link[2], page), deeper)
    title, _, rest = shown.partition("\n")
    return f"{title}\n\n`{folder}/`\n{rest}"


def _outdated(_app: Sphinx, env: BuildEnvironment, *_changes: set[str]) -> list[str]:
    """Pages of nouns are read at each build, because Sphinx does not watch the READMEs."""
    return [name for name in env.found_docs if name.startswith(PAGES)]


def _append_readmes(_app: Sphinx, name: str, source: list[str]) -> None:
    if name.startswith(PAGES):
        folders = folders_of(name.removeprefix(PAGES))
        source[0] = "\n".join((source[0], *(section_of(folder, name) for folder in folders)))


def _link(label: str, folder: PurePosixPath, target: str, page: str) -> str:
    """Returns a link to a document of the site, or the label where the site has none."""
    path = os.path.normpath(folder / target)
    if not path.startswith("docs/"):
        return label
    return f"[{label}]({os.path.relpath(path, (PurePosixPath('docs') / page).parent)})"
