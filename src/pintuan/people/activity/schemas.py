"""The entries of the activity log on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pintuan.base.auth.principal import ActorRole, Credential
from pintuan.base.wire.times import moment


class ActedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. Of the platform's own people nothing is shown but that it was one of them."""

    role: Annotated[
        ActorRole, Meta(description="`merchant`, or the platform: an `admin`, or an `operator` by a command.")
    ]
    id: Annotated[
        str | None,
        Meta(description="The merchant's own account; null for the platform's.", examples=["teahouse"]),
    ]
    credential: Annotated[
        Credential, Meta(description="What came with the call: an access token or an API key.")
    ]
    credential_id: Annotated[
        str | None,
        Meta(
            description="The API key's id, or that of the session the token was issued for.",
            examples=["key_019a2b3c4d5e6f708192a3b4c5d6e7f8"],
        ),
    ]
    address: Annotated[
        str | None,
        Meta(description="Where the call came from; forgotten after 90 days.", examples=["192.0.2.7"]),
    ]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field as it was and as it is; what is new has no `before`, what is gone no `after`."""

    before: Annotated[Any, Meta(description="As it was.", examples=["active"])] = msgspec.UNSET
    after: Annotated[Any, Meta(description="As it is.", examples=["paused"])] = msgspec.UNSET


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a merchant's object; an entry never changes and is never removed."""

    id: Annotated[str, Meta(description="Names the entry.", examples=["act_0192f0c1a2b3"])]
    created_at: Annotated[datetime, moment("When it was done.")]
    actor: ActedBy
    action: Annotated[
        str,
        Meta(
            description="The operation's id in this contract, or a command of the operator's.",
            examples=["pause_deal"],
        ),
    ]
    object_ids: Annotated[
        list[str],
        Meta(description="What it was done to, the closest first.", examples=[["deal_0192f0c1a2b3"]]),
    ]
    changes: Annotated[
        dict[str, Change],
        Meta(
            description="The fields that changed; long texts are cut, and secrets are left out.",
            examples=[{"status": {"before": "active", "after": "paused"}}],
        ),
    ]
    request_id: Annotated[
        str | None,
        Meta(description="`X-Request-Id` of the call.", examples=["5f0c1b2a3d4e5f6071829304"]),
    ]
