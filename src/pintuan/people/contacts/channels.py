"""The ways in which somebody can be written to."""

from typing import Literal, TypeAlias

Channel: TypeAlias = Literal["email", "sms", "push"]
