"""Whom the engine tells what it did. Nobody is waited for: a listener must return at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _nobody(_: int) -> None:
    """Listens to nothing."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Each is called with a count."""

    # Orders that were just made durable; their payments are due.
    on_recorded: Callable[[int], None] = _nobody
    # Placements that left together in one batch.
    on_batch: Callable[[int], None] = _nobody
    # Lanes rebuilt.
    on_rebuild: Callable[[int], None] = _nobody
    # Seats freed because nobody ever recorded them.
    on_orphans: Callable[[int], None] = _nobody
