"""A developer's outbox as JSON, and the message for the push service of an app."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pintuan.base.wire.times import moment
from pintuan.people.contacts.channels import Channel


class OutboxItem(msgspec.Struct, frozen=True):
    """One message; `code` is the sign-in code it carries, if it is about one."""

    channel: Channel
    to: str
    text: str
    code: str | None
    created_at: datetime


class Outbox(msgspec.Struct, frozen=True):
    """The newest messages first."""

    items: list[OutboxItem]


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is to see; `user` is whom their access token names."""

    user: str
    title: str
    text: str
    url: str | None
    unsubscribe_url: str | None


class PushMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person; `type` is `message.invite` or `message.nudge`."""

    type: str
    timestamp: datetime
    data: Push


class ExportedNotification(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was sent; its text is not kept."""

    id: Annotated[str, Meta(description="Names the message.", examples=["ntf_0192f0c1a2b3"])]
    kind: Annotated[str, Meta(description="What it was about.", examples=["sign_in_code"])]
    channel: Annotated[
        Literal["email", "sms", "push"], Meta(description="How it was sent.", examples=["email"])
    ]
    state: Annotated[
        Literal["due", "in_flight", "sent", "failed", "expired"],
        Meta(description="What became of it.", examples=["sent"]),
    ]
    created_at: Annotated[datetime, moment("When it was written.")]
    ended_at: Annotated[datetime | None, moment("When it was delivered or given up.")]
