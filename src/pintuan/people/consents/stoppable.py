"""The kinds that a recipient can stop; messages have it as their kind."""

from typing import Literal, TypeAlias

Stoppable: TypeAlias = Literal["invite", "nudge"]
