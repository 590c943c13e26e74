"""The Lua scripts, one per verb, loaded from the package with their includes put in place."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script's name, its text as Redis gets it, and the SHA-1 that EVALSHA names it by."""

    name: str
    text: str
    sha: str


@cache
def load_script(name: str) -> Script:
    """Loads `lua/<name>.lua`; raises FileNotFoundError for a name that is not there."""
    folder = files("groups") / "lua"
    text = _INCLUDE.sub(
        lambda match: (folder / f"{match[1]}.lua").read_text("utf-8"),
        (folder / f"{name}.lua").read_text("utf-8"),
    )
    # Redis names scripts by SHA-1; nothing secret depends on it.
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


PLACE = load_script("place")
LEAVE = load_script("leave")
CLOSE = load_script("close")
CONFIRM = load_script("confirm")
ORPHANS = load_script("orphans")
INSTALL = load_script("install")
LIST = load_script("list")
TAKE = load_script("take")
GIVE = load_script("give")
CONFIGURE = load_script("configure")
FORGET = load_script("forget")
