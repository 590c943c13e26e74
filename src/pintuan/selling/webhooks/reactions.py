"""The webhooks' reaction to events: those that an endpoint wants are kept, each with its deliveries."""

from __future__ import annotations

from typing import Final, get_args

from pintuan.base.events.event import Reactions
from pintuan.selling.webhooks.schemas import EventType
from pintuan.selling.webhooks.store import keep_events

REACTIONS: Final = Reactions(dict.fromkeys(get_args(EventType), keep_events), then="webhooks")
