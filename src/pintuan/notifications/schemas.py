"""What the outbox of a developer looks like as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pintuan.notifications.message import Channel


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
