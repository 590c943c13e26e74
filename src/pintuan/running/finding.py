"""One line of a diagnosis."""

from typing import Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["ok", "warn", "FAIL"]


class Finding(msgspec.Struct, frozen=True):
    """How something is, and, unless the status is ok, how to mend it."""

    subject: str
    status: Status
    detail: str
    remedy: str | None = None
