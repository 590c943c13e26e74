"""The document of everything that is kept about a person."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pintuan.buying.orders.schemas import ExportedOrder
from pintuan.people.identity.schemas import ExportedSession, Me
from pintuan.people.notifications.schemas import ExportedNotification
from pintuan.reach.invites.schemas import ExportedInvite


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Everything kept about a person."""

    me: Annotated[Me, Meta(description="Account and contacts.")]
    sessions: Annotated[list[ExportedSession], Meta(description="The newest first.")]
    notifications: Annotated[list[ExportedNotification], Meta(description="The newest first.")]
    invites: Annotated[list[ExportedInvite], Meta(description="Those the person sent, the newest first.")]
    orders: Annotated[list[ExportedOrder], Meta(description="All of them, the newest first.")]
