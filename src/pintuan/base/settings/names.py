"""Which setting a name was meant for that no setting has."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

# As alike as a name with a letter too few, too many, wrong or swapped. Variables for other programs are less
# alike, such as those that Kubernetes makes for a service.
SLIP_LIKENESS: Final = 0.85
GUESS_LIKENESS: Final = 0.6


def guess(name: str, known: Collection[str], prefix: str) -> str | None:
    """Returns the name that may have been meant, or None."""
    return _closest(name, known, prefix, GUESS_LIKENESS)


def slip(name: str, known: Collection[str], prefix: str) -> str | None:
    """Returns the name that `name` is a slip of the pen for, or None."""
    return _closest(name, known, prefix, SLIP_LIKENESS)


def _closest(name: str, known: Collection[str], prefix: str, likeness: float) -> str | None:
    # Without the prefix, which would make any two of them look alike.
    candidates = [one.removeprefix(prefix) for one in known]
    found = difflib.get_close_matches(name.removeprefix(prefix), candidates, n=1, cutoff=likeness)
    return f"{prefix}{found[0]}" if found else None
