"""Invitations in Postgres, one typed function per statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from groups.setbacks import Broom, Setbacks
from pintuan.people.contacts.channels import Channel
from pintuan.people.merchants.references import reference_of
from pintuan.reach.invites.schemas import Referral
from sql import load_queries

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.wire.cursors import Cursor
    from sql import Connection


INVITES = load_queries(__package__)


class InvitedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group as an inviter finds it; `now` is the server's, `seat_id` the inviter's live order, if any."""

    joinable: bool
    share_code: str
    deadline: datetime
    currency: str
    title: str
    merchant_id: str
    now: datetime
    price_minor: int
    was_member: bool
    seat_id: str | None
    is_held: bool


class SentInvite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation with its results; `withheld` has no message, and its sender does not know."""

    code: str
    channel: Channel
    sealed: bytes | None
    created_at: datetime
    opened: bool
    is_due: bool
    withheld: bool
    notification_state: Literal["due", "in_flight", "sent", "failed", "expired"] | None
    joined: bool
    authorised: bool


class ChannelSums(msgspec.Struct, frozen=True, kw_only=True):
    """The invitations and orders one channel brought a deal; None is everything without an invitation."""

    channel: Channel | None
    invited: int
    opened: int
    joined: int
    authorised: int
    settled: int


async def select_group(
    pool: asyncpg.Pool | Connection, group_id: str, inviter_id: str
) -> InvitedGroup | None:
    """Returns the group and how the inviter stands in it, or None."""
    row = await pool.fetchrow(INVITES["invited_group"], group_id, inviter_id)
    return None if row is None else InvitedGroup(**row)


async def lock_inviter(connection: Connection, group_id: str, inviter_id: str) -> None:
    """Keeps other requests of the inviter for the group waiting until the transaction ends."""
    await connection.execute(INVITES["lock_inviter"], group_id, inviter_id)


async def count_invites(connection: Connection, group_id: str, inviter_id: str) -> int:
    """Returns how many the inviter has invited to the group."""
    count: int = await connection.fetchval(INVITES["count_invites"], group_id, inviter_id)
    return count


async def known_recipients(
    connection: Connection, group_id: str, inviter_id: str, digests: Sequence[bytes]
) -> dict[bytes, bool]:
    """Returns those invited to the group before, each with whether it was by this inviter."""
    rows = await connection.fetch(INVITES["known_recipients"], group_id, inviter_id, digests)
    return {row["recipient_digest"]: row["mine"] for row in rows}


async def insert_invite(
    connection: Connection,
    *,
    code: str,
    group_id: str,
    inviter_id: str,
    channel: Channel,
    recipient_digest: bytes,
    sealed: bytes,
    delay_ms: int,
    kept_ms: int,
    notification_id: str | None,
    awaits_order_id: str | None,
) -> None:
    """Adds an invitation, one that waits for an order's authorisation or for its time with that order."""
    await connection.execute(
        INVITES["insert_invite"],
        code,
        group_id,
        inviter_id,
        channel,
        recipient_digest,
        sealed,
        delay_ms,
        kept_ms,
        notification_id,
        awaits_order_id,
    )


async def settle_waiting(pool: asyncpg.Pool, limit: int) -> int:
    """Lets up to `limit` waiting invitations go or forgets them, as their inviters' orders are now.

    Returns how many there were.
    """
    rows = await pool.fetch(INVITES["waiting_invites"], limit)
    return await Setbacks(pool, "invites").each([row["id"] for row in rows], partial(settle, pool))


async def settle(pool: asyncpg.Pool, codes: Sequence[str]) -> int:
    """Lets those of the invitations go that waited, or forgets them; returns how many it was done with."""
    count: int = await pool.fetchval(INVITES["settle_invites"], codes)
    return count


async def list_invites(pool: asyncpg.Pool, group_id: str, inviter_id: str, *, limit: int) -> list[SentInvite]:
    """Returns the inviter's newest invitations to the group."""
    rows = await pool.fetch(INVITES["list_invites"], group_id, inviter_id, limit)
    return [SentInvite(**row) for row in rows]


async def forget_recipients(pool: asyncpg.Pool, limit: int) -> int:
    """Forgets up to `limit` recipients whose time is over; returns how many."""
    broom = Broom(pool, "recipients", due=INVITES["recipients_to_forget"], drop=INVITES["forget_recipients"])
    return await broom.sweep(limit)


async def members_by_inviter(
    pool: asyncpg.Pool, group_id: str, merchant_id: str | None, *, after: Cursor | None, limit: int
) -> list[tuple[str, Referral]]:
    """Returns up to `limit` of the group's orders with their ids, the oldest first, from just behind `after`.

    There are none where the group is not the merchant's (None: anybody's).
    """
    created_at, order_id = (after.created_at, after.id) if after else (None, None)
    rows = await pool.fetch(INVITES["members_by_inviter"], group_id, merchant_id, limit, created_at, order_id)
    return [(row["id"], _referral_of(row)) for row in rows]


def _referral_of(row: asyncpg.Record) -> Referral:
    key, inviter_id = row["buyer_reference_key"], row["inviter_id"]
    return Referral(
        buyer=reference_of(key, row["buyer_id"]),
        brought_by=None if inviter_id is None else reference_of(key, inviter_id),
        channel=row["channel"],
        seat=row["seat"],
        status=row["status"],
        joined_at=row["created_at"],
    )


async def has_deal(pool: asyncpg.Pool, deal_id: str, merchant_id: str | None) -> bool:
    """Says whether the merchant, or with None anybody, has the deal."""
    return await pool.fetchval(INVITES["deal_of_seller"], deal_id, merchant_id) is not None


async def funnel_of_deal(pool: asyncpg.Pool, deal_id: str) -> list[ChannelSums]:
    """Returns what each channel brought the deal."""
    rows = await pool.fetch(INVITES["funnel_of_deal"], deal_id)
    return [ChannelSums(**row) for row in rows]
