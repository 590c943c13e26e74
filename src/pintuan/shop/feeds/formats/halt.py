"""When the reading of a feed must end before the feed does."""

from __future__ import annotations

import time
from collections.abc import Callable

from pintuan.shop.feeds.formats.lines import FeedError


class Halt:
    """Ends the reading of one feed, in whichever thread it goes on: at its deadline, or when it is told to.

    Readers call `check` at every line, row and chunk of bytes; the work between two calls is bounded.
    """

    def __init__(self, within_s: float | None = None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._now_s = now_s
        self._ends_s = None if within_s is None else now_s() + within_s
        self._is_told = False

    def tell(self) -> None:
        """Ends the reading at its next look; from any thread."""
        self._is_told = True

    def check(self, line: int) -> None:
        """Raises `FeedError` when the reading must end; it has come to this line."""
        if self._is_told:
            raise FeedError(f"the import was broken off at line {line}; what follows was not read")
        if self._ends_s is not None and self._now_s() >= self._ends_s:
            raise FeedError(
                f"the import took longer than {self._within_s:.0f} seconds and came to line {line}; import "
                "what follows as another feed"
            )
