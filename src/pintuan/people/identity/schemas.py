"""What signing in looks like on the wire, and what a person sees of themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pintuan.base.auth.principal import Role
from pintuan.buying.groups.schemas import Order

# RFC 5321 section 4.5.3.1.3: a path of 256 octets has two for its brackets.
EMAIL_LENGTH_MAX = 254
# An E.164 number has 15 digits; people write them with spaces and brackets.
PHONE_LENGTH_MAX = 40
CODE_LENGTH_MAX = 16
REFRESH_TOKEN_LENGTH_MAX = 512

EmailText = Annotated[
    Annotated[str, Meta(min_length=3, max_length=EMAIL_LENGTH_MAX)] | None,
    Meta(description="An e-mail address; in place of `phone`.", examples=["ann@example.com"]),
]
PhoneText = Annotated[
    Annotated[str, Meta(min_length=3, max_length=PHONE_LENGTH_MAX)] | None,
    # No example: one whole body must not name both.
    Meta(description="A phone number with its country code (E.164), `+33123456789`; in place of `email`."),
]
RefreshTokenText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=REFRESH_TOKEN_LENGTH_MAX,
        description="The newest refresh token of the session.",
        examples=["ptr_8QWm1zY0c3VwZXIgc2VjcmV0IHRva2VuIG9mIGEgc2Vzc2lvbiBvZiBBbm4"],
    ),
]


def _moment(description: str) -> Meta:
    return Meta(description=description, examples=["2030-01-01T12:00:00Z"])


class CodeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to send a sign-in code: exactly one of the two."""

    email: EmailText = None
    phone: PhoneText = None


class CodeSent(msgspec.Struct, frozen=True):
    """A code is on its way, whether or not anybody has an account there."""

    expires_in: Annotated[int, Meta(description="Seconds the code works for.", examples=[600])]


class CodeGrant(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="grant_type", tag="otp"
):
    """Signs in by the code that was sent; the first time, this makes the account."""

    email: EmailText = None
    phone: PhoneText = None
    code: Annotated[
        str,
        Meta(
            min_length=1, max_length=CODE_LENGTH_MAX, description="The six digits sent.", examples=["493027"]
        ),
    ]


class RefreshGrant(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="grant_type",
    tag="refresh",
):
    """Goes on with a session; the token sent is used up, also where the answer is lost."""

    refresh_token: RefreshTokenText


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, and the refresh token that gets the next one."""

    access_token: Annotated[
        str, Meta(description="For the Authorization header.", examples=["eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])
    ]
    token_type: Annotated[Literal["Bearer"], Meta(description="How the access token is sent.")]
    expires_in: Annotated[int, Meta(description="Seconds the access token is valid.", examples=[900])]
    refresh_token: RefreshTokenText
    refresh_expires_in: Annotated[
        int, Meta(description="Seconds the refresh token can be used, once.", examples=[2_592_000])
    ]


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The session to end, by its refresh token."""

    refresh_token: RefreshTokenText


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in; contacts and time are null for a caller without an account here."""

    id: Annotated[str, Meta(description="Names the account.", examples=["usr_0192f0c1a2b3"])]
    role: Annotated[Role, Meta(description="What the access token allows.", examples=["buyer"])]
    email: Annotated[str | None, Meta(description="As it is kept.", examples=["ann@example.com"])]
    phone: Annotated[str | None, Meta(description="In E.164.", examples=["+33123456789"])]
    language: Annotated[
        str | None,
        Meta(description="Of messages; as the browser or app told at the last sign-in.", examples=["fr"]),
    ]
    created_at: Annotated[datetime | None, _moment("When the account was made.")]


class ExportedSession(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in on one device."""

    id: Annotated[str, Meta(description="Names the session.", examples=["ses_0192f0c1a2b3"])]
    created_at: Annotated[datetime, _moment("When it began.")]
    refreshed_at: Annotated[datetime, _moment("When it was last used for a new access token.")]
    expires_at: Annotated[datetime, _moment("When it ends unless it is used before.")]
    revoked_at: Annotated[datetime | None, _moment("When it was ended; null while it runs.")]


class ExportedNotification(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was sent; what it said is not kept."""

    id: Annotated[str, Meta(description="Names the message.", examples=["ntf_0192f0c1a2b3"])]
    kind: Annotated[str, Meta(description="What it was about.", examples=["sign_in_code"])]
    channel: Annotated[
        Literal["email", "sms", "push"], Meta(description="How it was sent.", examples=["email"])
    ]
    state: Annotated[
        Literal["due", "in_flight", "sent", "failed", "expired"],
        Meta(description="What became of it.", examples=["sent"]),
    ]
    created_at: Annotated[datetime, _moment("When it was written.")]
    ended_at: Annotated[datetime | None, _moment("When it was delivered or given up.")]


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
    created_at: Annotated[datetime, _moment("When it was asked for.")]
    opened_at: Annotated[datetime | None, _moment("When its link was first followed.")]


class ExportedOrder(Order, frozen=True, kw_only=True):
    """An order with what the buyer told about it; `group` is left out."""

    ship_to: Annotated[
        dict[str, Any] | None,
        Meta(description="Where the goods go, as the buyer sent it.", examples=[{"name": "Ann Lee"}]),
    ]
    invite_code: Annotated[str | None, Meta(description="Who invited the buyer.", examples=["k7mq3xw9bd"])]
    payment_method: Annotated[str, Meta(description="The gateway's method.", examples=["pm_ok"])]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Everything kept about a person."""

    me: Annotated[Me, Meta(description="Account and contacts.")]
    sessions: Annotated[list[ExportedSession], Meta(description="The newest first.")]
    notifications: Annotated[list[ExportedNotification], Meta(description="The newest first.")]
    invites: Annotated[list[ExportedInvite], Meta(description="Those the person sent, the newest first.")]
    orders: Annotated[list[ExportedOrder], Meta(description="All of them, the newest first.")]
