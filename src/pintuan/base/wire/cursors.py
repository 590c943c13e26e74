"""Where a page of a list ended, as a cursor says it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from pintuan.base.wire.times import Instant

CursorId: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern="^[!-~]+$")]


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the last row's time of creation, then its id, as the lists are ordered."""

    created_at: Instant
    id: CursorId


class KeyCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page of a keyed list ended; `scope` tells which list, with which filters and in which order."""

    scope: Annotated[str, msgspec.Meta(max_length=32)]
    key: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    id: CursorId
