"""Invitations on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from pintuan.base.wire.patterns import TEXT_PATTERN
from pintuan.base.wire.times import moment
from pintuan.buying.groups.schemas import OrderStatus
from pintuan.people.identity.schemas import EmailText, PhoneText

RECIPIENTS_PER_CALL_MAX = 20
# As long as the subject of a token may be.
USER_CHARS_MAX = 128

InviteState: TypeAlias = Literal["queued", "sent", "failed", "opened", "joined", "authorised"]
InviteChannel: TypeAlias = Literal["email", "sms", "push"]
# The languages of `pintuan.base.locales`, which a client does not load.
MessageLanguage: TypeAlias = Literal["en", "zh", "ko", "vi", "uk", "fr", "es"]


UserText: TypeAlias = Annotated[
    Annotated[str, Meta(min_length=1, max_length=USER_CHARS_MAX, pattern=TEXT_PATTERN)] | None,
    Meta(
        description="Whom the push service of the app is to reach, by the subject of their access token.",
        examples=["usr_0192f0c1a2b3"],
    ),
]


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The recipient of an invitation: exactly one of the three."""

    email: EmailText = None
    phone: PhoneText = None
    user: UserText = None


class NewInvites(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People to invite to a group, in one language."""

    recipients: Annotated[
        list[Recipient],
        Meta(
            min_length=1,
            max_length=RECIPIENTS_PER_CALL_MAX,
            description="Whom to invite.",
            examples=[[{"email": "bea@example.com"}, {"phone": "+33123456789"}]],
        ),
    ]
    locale: Annotated[MessageLanguage, Meta(description="The language of the message.", examples=["fr"])] = (
        "en"
    )


class InviteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one recipient, in the order they were given."""

    email: Annotated[
        str | None, Meta(description="The address as it was understood.", examples=["bea@example.com"])
    ]
    phone: Annotated[
        str | None, Meta(description="The number as it was understood.", examples=["+33123456789"])
    ]
    user: Annotated[str | None, Meta(description="The name as it was given.", examples=["usr_0192f0c1a2b3"])]
    status: Annotated[
        Literal["queued", "skipped"],
        Meta(
            description="`skipped` if you had invited them to this group before. It never tells whether "
            "they have an account or want to be invited.",
            examples=["queued"],
        ),
    ]


class InvitesAccepted(msgspec.Struct, frozen=True):
    """Invitations that are on their way."""

    recipients: Annotated[list[InviteOutcome], Meta(description="One for each recipient.")]


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, as its sender sees it."""

    invite_code: Annotated[
        str, Meta(description="Names the invitation in links and joins.", examples=["k3Jm9wQ2xY7pLr4T"])
    ]
    share_url: Annotated[
        str,
        Meta(
            description="The personal link.",
            examples=["https://shop.example/g/k7mq3xw9bd?invite=k3Jm9wQ2xY7pLr4T"],
            extra_json_schema={"format": "uri"},
        ),
    ]
    channel: Annotated[InviteChannel, Meta(description="How it was sent.", examples=["email"])]
    recipient: Annotated[
        str | None,
        Meta(
            description="Whom it went to, in part; null some days after the deadline.",
            examples=["b…@example.com"],
        ),
    ]
    state: Annotated[
        InviteState,
        Meta(
            description="The furthest it came; `failed` could not be delivered, `joined` took a seat, "
            "`authorised` counts for the price.",
            examples=["joined"],
        ),
    ]
    created_at: Annotated[datetime, moment("When it was asked for.")]


class InviteCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many invitations came at least so far."""

    invited: Annotated[int, Meta(description="All of them.", examples=[5])]
    opened: Annotated[int, Meta(description="Whose link was followed.", examples=[3])]
    joined: Annotated[int, Meta(description="By which somebody joined.", examples=[2])]
    authorised: Annotated[int, Meta(description="By which somebody joined who counts.", examples=[1])]


class Invites(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's invitations to a group."""

    items: Annotated[list[Invite], Meta(description="The newest first; at most 100.")]
    counts: Annotated[InviteCounts, Meta(description="What came of them.")]


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a group, and who brought the buyer."""

    buyer: Annotated[
        str,
        Meta(
            description="The buyer, by a reference of this merchant's own.",
            examples=["byr_5f0c1b2a3d4e5f607182930415263748"],
        ),
    ]
    brought_by: Annotated[
        str | None,
        Meta(
            description="Whoever's invitation the buyer came by; null without one.",
            examples=["byr_0a1b2c3d4e5f60718293041526374859"],
        ),
    ]
    channel: Annotated[
        InviteChannel | None, Meta(description="How the invitation was sent.", examples=["email"])
    ]
    seat: Annotated[int, Meta(description="The seat in the group.", examples=[2])]
    status: Annotated[OrderStatus, Meta(description="Of the order.", examples=["captured"])]
    joined_at: Annotated[datetime, moment("When it was placed.")]


class Referrals(msgspec.Struct, frozen=True):
    """A page of who brought whom into a group."""

    group_id: Annotated[str, Meta(description="The group.", examples=["grp_0192f0c1a2b3"])]
    items: Annotated[list[Referral], Meta(description="The oldest first.")]
    next_cursor: Annotated[
        str | None,
        Meta(description="Where the next page begins; null on the last one.", examples=[None]),
    ]


class FunnelChannel(msgspec.Struct, frozen=True, kw_only=True):
    """The invitations and orders of one way to a deal's groups."""

    channel: Annotated[
        Literal["email", "sms", "push", "other"],
        Meta(description="`other` joined without an invitation.", examples=["email"]),
    ]
    invited: Annotated[int, Meta(description="Invitations.", examples=[20])]
    opened: Annotated[int, Meta(description="Of these, links that were followed.", examples=[12])]
    joined: Annotated[int, Meta(description="Orders that took a seat.", examples=[8])]
    authorised: Annotated[int, Meta(description="Of these, whose payment was authorised.", examples=[7])]
    settled: Annotated[int, Meta(description="Of these, that were paid for.", examples=[5])]


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """How people came to a deal's groups, and how far."""

    deal_id: Annotated[str, Meta(description="The deal.", examples=["deal_0192f0c1a2b3"])]
    channels: Annotated[list[FunnelChannel], Meta(description="One for each way.")]


class ExportedInvite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation the person sent."""

    group_id: Annotated[str, Meta(description="To which group.", examples=["grp_0192f0c1a2b3"])]
    channel: Annotated[
        Literal["email", "sms", "push"], Meta(description="How it was sent.", examples=["email"])
    ]
    recipient: Annotated[
        str | None,
        Meta(
            description="Whom it went to, in part; null some days after the group's deadline.",
            examples=["b…@example.com"],
        ),
    ]
    created_at: Annotated[datetime, moment("When it was asked for.")]
    opened_at: Annotated[datetime | None, moment("When its link was first followed.")]
