"""A group's state as one event of a stream (WHATWG HTML section 9.2, "Server-sent events")."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.http.etag import etag_of

if TYPE_CHECKING:
    from pintuan.buying.groups.schemas import Group

HEARTBEAT: Final = b": heartbeat\n\n"
# Clients that must come back are spread over this time, so that they do not all come at once.
RETRY_MS_MIN: Final = 1_000
RETRY_MS_MAX: Final = 4_000
ENDED: Final = frozenset({"succeeded", "failed"})

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A group at a moment: `tag` names the state, without the server's time; `event` is what is sent."""

    tag: str
    event: bytes
    ended: bool


def snapshot_of(group: Group) -> Snapshot:
    """Returns the event of a group; its tag is the entity tag of `GET /v1/groups/{id}` for anybody."""
    stable = msgspec.structs.replace(group, server_time=group.opened_at)
    tag = etag_of(group, stable=stable).removeprefix("W/").strip('"')
    event = b"event: group\nid: %b\ndata: %b\n\n" % (tag.encode("ascii"), _encoder.encode(group))
    return Snapshot(tag, event, group.status in ENDED)


def retry_hint() -> bytes:
    """Returns the field that tells a client how long to wait before it connects again."""
    return b"retry: %d\n\n" % random.randint(RETRY_MS_MIN, RETRY_MS_MAX)  # noqa: S311 - jitter only.
