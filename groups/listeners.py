"""Listeners that the engine tells of its work. Nobody is waited for: a listener must return at once and not
raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, Protocol

# `queue`: a batch's first placement waits for the batch to leave; `script`: the call to Redis; `record`:
# Postgres makes the batch durable, and says why a seat was not recorded.
Stage = Literal["queue", "script", "record"]
Outcome = Literal["succeeded", "failed"]


def _nobody(*_: object) -> None:
    """Listens to nothing."""


class Tracer(Protocol):
    """A listener that follows placements through their batch."""

    def caller(self) -> object | None:
        """Returns a value that names the trace of the caller; None when it is not followed."""

    def batch(self, size: int, callers: Sequence[object]) -> AbstractContextManager[object]:
        """Surrounds a batch of `size` placements, of which those of `callers` are followed."""

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Surrounds one stage of the batch around it."""

    def script(self, name: str) -> AbstractContextManager[object]:
        """Surrounds a call of the script `lua/<name>.lua`."""


class Untraced:
    """Follows nothing."""

    _NOTHING = nullcontext()

    def caller(self) -> None:
        """Names nobody."""

    def batch(self, size: int, callers: Sequence[object]) -> AbstractContextManager[object]:  # noqa: ARG002 - the protocol's.
        """Surrounds with nothing."""
        return self._NOTHING

    def stage(self, stage: Stage) -> AbstractContextManager[object]:  # noqa: ARG002 - the protocol's.
        """Surrounds with nothing."""
        return self._NOTHING

    def script(self, name: str) -> AbstractContextManager[object]:  # noqa: ARG002 - the protocol's.
        """Surrounds with nothing."""
        return self._NOTHING


@dataclass(frozen=True, slots=True)
class Listeners:
    """Each callable listens to one thing; times are in seconds."""

    # Counts the orders just made durable; their payments are due.
    on_recorded: Callable[[int], None] = _nobody
    # Counts the placements that left together in one batch.
    on_batch: Callable[[int], None] = _nobody
    # Counts rebuilt lanes.
    on_rebuild: Callable[[int], None] = _nobody
    # Counts seats freed because nobody ever recorded them.
    on_orphans: Callable[[int], None] = _nobody
    # Counts the other marketplaces that tell the same Redis, at every look.
    on_neighbours: Callable[[int], None] = _nobody
    # The time that a stage of a batch took.
    on_stage: Callable[[Stage, float], None] = _nobody
    # By Postgres' clock, how long after it was due a group was settled.
    on_settled: Callable[[float], None] = _nobody
    # The outcome of a group.
    on_ended: Callable[[Outcome], None] = _nobody
    # Which groups' members or state a commit just changed.
    on_changed: Callable[[Sequence[str]], None] = _nobody
    tracer: Tracer = field(default_factory=Untraced)
