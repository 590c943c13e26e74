"""Signing in and out, and `/v1/me`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import get, post
from litestar.params import JSONBody

from pintuan.base.auth import Principal, check_role, requires_role
from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.base.locales import negotiate
from pintuan.http.bodies import ApiRequest
from pintuan.http.client_address import limit_key_of
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.parameters import InjectedResources
from pintuan.people.contacts.contacts import Contact, contact_of
from pintuan.people.identity import service, sessions
from pintuan.people.identity.code_sender import CodeSender
from pintuan.people.identity.codes import CODE_LIFETIME_S
from pintuan.people.identity.schemas import (
    CodeGrant,
    CodeRequest,
    CodeSent,
    Me,
    RefreshGrant,
    Revocation,
    Tokens,
)
from pintuan.people.identity.turns import Turns
from pintuan.people.notifications.post import post_of

if TYPE_CHECKING:
    from pintuan.base.process import Resources

ACCEPTED: Final = 202
BUYERS: Final = frozenset({"buyer"})
# A stale token in the header must not keep anybody from getting a new one.
_OPEN: Final[dict[str, Any]] = {PUBLIC_OPTION: True}


@post(
    "/v1/auth/otp",
    tags=["identity"],
    status_code=ACCEPTED,
    summary="Have a sign-in code sent",
    opt=_OPEN | problem_codes("rate_limited"),
)
async def send_code(
    data: JSONBody[CodeRequest], request: ApiRequest, resources: InjectedResources
) -> CodeSent:
    """Sends six digits to an e-mail address or a phone; a new code takes the place of the caller's last one.

    The message is in the language that Accept-Language prefers, of those Pintuan speaks. The answer
    is the same whether or not somebody has an account there.
    """
    contact = _contact_of(data, resources)
    language = negotiate(request.headers.get("accept-language"))
    await code_sender_of(resources).send(contact, client_key=limit_key_of(request.scope), language=language)
    return CodeSent(CODE_LIFETIME_S)


@post(
    "/v1/auth/token",
    tags=["identity"],
    status_code=200,
    summary="Sign in, or refresh a session",
    opt=_OPEN | problem_codes("rate_limited", "unauthenticated"),
)
async def issue_tokens(
    data: JSONBody[CodeGrant | RefreshGrant], request: ApiRequest, resources: InjectedResources
) -> Tokens:
    """Answers an access token and the session's next refresh token.

    What Accept-Language prefers when somebody signs in is the language of messages to them.

    A refresh token works once. One that is used again ends its session: somebody else may have a copy.
    """
    match data:
        case CodeGrant():
            accepted = request.headers.get("accept-language")
            language = None if accepted is None else negotiate(accepted)
            return await sessions.sign_in(
                resources.pool,
                resources.keyring,
                resources.clock,
                resources.state(Turns),
                _contact_of(data, resources),
                data.code,
                client_key=limit_key_of(request.scope),
                language=language,
            )
        case RefreshGrant():
            return await sessions.refresh(
                resources.pool, resources.keyring, resources.clock, data.refresh_token
            )


@post("/v1/auth/revoke", tags=["identity"], status_code=204, summary="Sign out", opt=_OPEN)
async def revoke_session(data: JSONBody[Revocation], resources: InjectedResources) -> None:
    """Ends the session of a refresh token; a token that is none is no error (RFC 7009)."""
    await sessions.revoke(resources.pool, data.refresh_token)


@get("/v1/me", tags=["identity"], guards=[requires_role("buyer")], summary="Who I am")
async def get_me(request: ApiRequest, resources: InjectedResources) -> Me:
    """Answers the caller's account and contacts."""
    return await service.get_me(resources.pool, caller_of(request))


def caller_of(request: ApiRequest) -> Principal:
    """Returns the buyer who calls."""
    return check_role(request.user, BUYERS)


def code_sender_of(resources: Resources) -> CodeSender:
    """Returns what sends the codes of a call."""
    return CodeSender(
        resources.pool,
        resources.keyring,
        post_of(resources.settings, resources.keyring),
        resources.state(Turns),
        resources.doorbells,
        rate_limits=resources.settings.rate_limits,
    )


def _contact_of(data: CodeRequest | CodeGrant, resources: InjectedResources) -> Contact:
    return contact_of(data.email, data.phone, fictional=resources.settings.env == "dev")


HANDLERS: Final = [send_code, issue_tokens, revoke_session, get_me]
