"""What somebody can want no more of; messages have it as their kind."""

from typing import Literal, TypeAlias

Stoppable: TypeAlias = Literal["invite", "nudge"]
