"""What the outbox of a developer looks like as JSON, and what the push service of an app is sent."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pintuan.people.notifications.message import Channel


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
