"""Signing in and out."""

from __future__ import annotations

from pintuan.client.caller import Caller
from pintuan.client.personal import Export
from pintuan.client.transport import Call
from pintuan.people.identity.schemas import (
    CodeGrant,
    CodeRequest,
    CodeSent,
    Me,
    RefreshGrant,
    Revocation,
    Tokens,
)


class IdentityCalls(Caller):
    """Accounts and sessions; an account is an e-mail address or a phone number, proved by a code."""

    async def sign_in(self, code: str, *, email: str | None = None, phone: str | None = None) -> Tokens:
        """Calls as the account from now on, with access tokens renewed as they run out.

        `code` is what `send_code` had sent there.
        """
        tokens = await self.issue_tokens(CodeGrant(email=email, phone=phone, code=code))
        self.session.adopt(tokens)
        return tokens

    async def sign_out(self) -> None:
        """Ends the session, here and on the server, and calls as nobody from now on."""
        refresh_token = self.session.refresh_token
        self.session.forget()
        if refresh_token is not None:
            await self.revoke_session(refresh_token)

    async def send_code(self, *, email: str | None = None, phone: str | None = None) -> CodeSent:
        """Has a sign-in code sent to an e-mail address or a phone number."""
        body = CodeRequest(email=email, phone=phone)
        return await self.session.send(Call("POST", "/v1/auth/otp", CodeSent, body=body, signed=False))

    async def issue_tokens(self, grant: CodeGrant | RefreshGrant) -> Tokens:
        """Exchanges a code or a refresh token for tokens, and goes on calling as before; see `sign_in`."""
        return await self.session.send(Call("POST", "/v1/auth/token", Tokens, body=grant, signed=False))

    async def revoke_session(self, refresh_token: str) -> None:
        """Ends the session of a refresh token."""
        body = Revocation(refresh_token)
        await self.session.send(Call("POST", "/v1/auth/revoke", type(None), body=body, signed=False))

    async def get_me(self) -> Me:
        """Returns the caller's account and contacts."""
        return await self.session.send(Call("GET", "/v1/me", Me))

    async def export_me(self) -> Export:
        """Returns everything that is kept about the caller."""
        return await self.session.send(Call("GET", "/v1/me/export", Export))

    async def erase_me(self) -> None:
        """Erases the caller's account, contacts and sessions, and calls as nobody from now on."""
        await self.session.send(Call("DELETE", "/v1/me", type(None)))
        self.session.forget()
