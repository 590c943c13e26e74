"""Everything that is kept about a person; each noun that keeps something has a line here."""

from __future__ import annotations

import msgspec

from pintuan.buying.orders.schemas import ExportedOrder
from pintuan.people.identity.schemas import ExportedSession, Me
from pintuan.people.notifications.schemas import ExportedNotification
from pintuan.reach.invites.schemas import ExportedInvite


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Everything kept about a person."""

    me: Me
    sessions: list[ExportedSession]
    notifications: list[ExportedNotification]
    invites: list[ExportedInvite]
    orders: list[ExportedOrder]
