"""API keys on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.base.wire.patterns import LINE_PATTERN
from pintuan.base.wire.times import Instant, moment
from pintuan.people.api_keys.limits import NAME_CHARS_MAX


class NewApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=NAME_CHARS_MAX,
            pattern=LINE_PATTERN,
            description="Tells the merchant what uses the key.",
            examples=["stock sync"],
        ),
    ]
    expires_at: Annotated[
        Instant | None,
        moment("When it ends by itself; never if absent or null.", "2030-01-01T00:00:00Z"),
    ] = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret, which nobody can be shown again."""

    id: Annotated[str, Meta(description="Names the key.", examples=["key_019a2b3c4d5e6f708192a3b4c5d6e7f8"])]
    name: Annotated[str, Meta(description="What uses the key.", examples=["stock sync"])]
    created_at: Annotated[datetime, moment("When it was made.")]
    expires_at: Annotated[datetime | None, moment("When it ends by itself.", "2031-01-01T00:00:00Z")]
    last_used_at: Annotated[
        datetime | None,
        moment("About when it was last used, to the minute.", "2030-02-01T12:00:00Z"),
    ]


class MadeApiKey(ApiKey, frozen=True, kw_only=True):
    """A key that was just made, with its secret."""

    key: Annotated[
        str,
        Meta(
            description="The key itself, shown this once; sent as `Authorization: Bearer ptk_…`.",
            examples=[f"ptk_019a2b3c4d5e6f708192a3b4c5d6e7f8_{'0123456789abcdef' * 4}"],
        ),
    ]
