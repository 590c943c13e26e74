"""Signing in on the wire, and a person's view of themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pintuan.base.auth.principal import Role
from pintuan.base.wire.times import moment
from pintuan.people.contacts.limits import EMAIL_LENGTH_MAX, PHONE_LENGTH_MAX

# Six digits, with any signs that people put around and between them.
CODE_LENGTH_MAX = 32
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
    """The person who is signed in; contacts and time are null for a caller without an account here."""

    id: Annotated[str, Meta(description="Names the account.", examples=["usr_0192f0c1a2b3"])]
    role: Annotated[Role, Meta(description="What the access token allows.", examples=["buyer"])]
    email: Annotated[str | None, Meta(description="As it is kept.", examples=["ann@example.com"])]
    phone: Annotated[str | None, Meta(description="In E.164.", examples=["+33123456789"])]
    language: Annotated[
        str | None,
        Meta(description="Of messages; as the browser or app told at the last sign-in.", examples=["fr"]),
    ]
    created_at: Annotated[datetime | None, moment("When the account was made.")]


class ExportedSession(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in on one device."""

    id: Annotated[str, Meta(description="Names the session.", examples=["ses_0192f0c1a2b3"])]
    created_at: Annotated[datetime, moment("When it began.")]
    refreshed_at: Annotated[datetime, moment("When it was last used for a new access token.")]
    expires_at: Annotated[datetime, moment("When it ends unless it is used before.")]
    revoked_at: Annotated[datetime | None, moment("When it was ended; null while it runs.")]
