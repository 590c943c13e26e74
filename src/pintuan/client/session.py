"""The caller: nobody, the bearer of one token, or an account whose access token is renewed as it runs out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from pintuan.client.errors import ProblemError
from pintuan.client.transport import Call
from pintuan.people.identity.schemas import RefreshGrant, Tokens

if TYPE_CHECKING:
    from pintuan.client.transport import Transport

# Renewed this long before its end, a token is still good when the call arrives.
RENEW_BEFORE_S: Final = 30.0
_UNAUTHENTICATED: Final = 401

T = TypeVar("T")


class Session:
    """Sends calls with the caller's token. Renewals are single-flight: a refresh token works once."""

    def __init__(
        self, transport: Transport, *, token: str | None = None, refresh_token: str | None = None
    ) -> None:
        self.transport = transport
        self._token = token
        self._refresh_token = refresh_token
        self._expires_s = float("inf")
        self._renewing = asyncio.Lock()

    @property
    def token(self) -> str | None:
        """The access token or API key that calls carry now."""
        return self._token

    @property
    def refresh_token(self) -> str | None:
        """The newest refresh token; keep it to go on with the session in another process."""
        return self._refresh_token

    def adopt(self, tokens: Tokens) -> None:
        """Calls with these tokens from now on."""
        self._token = tokens.access_token
        self._refresh_token = tokens.refresh_token
        self._expires_s = time.monotonic() + tokens.expires_in

    def forget(self) -> None:
        """Calls as nobody from now on."""
        self._token = self._refresh_token = None
        self._expires_s = float("inf")

    async def send(self, call: Call[T]) -> T:
        """Returns the decoded answer; a token that ran out is renewed and the call sent once more.

        Raises ProblemError, NoAnswer or BadAnswer.
        """
        token = await self.current_token() if call.signed else None
        try:
            return await self.transport.send(call, token=token)
        except ProblemError as problem:
            # Refused before anything was done, so that repeating it is safe whatever the call.
            if problem.status != _UNAUTHENTICATED or not call.signed or self._refresh_token is None:
                raise
            await self._renew(token)
        return await self.transport.send(call, token=self._token)

    async def current_token(self) -> str | None:
        """Returns the token to call with, renewed if it is about to run out."""
        runs_out = self._token is None or time.monotonic() > self._expires_s - RENEW_BEFORE_S
        if self._refresh_token is not None and runs_out:
            await self._renew(self._token)
        return self._token

    async def _renew(self, spent: str | None) -> None:
        """Exchanges the refresh token, unless another task has just done so in the place of `spent`."""
        async with self._renewing:
            if self._token != spent or self._refresh_token is None:
                return
            grant = RefreshGrant(refresh_token=self._refresh_token)
            call = Call("POST", "/v1/auth/token", Tokens, body=grant, signed=False)
            try:
                self.adopt(await self.transport.send(call, token=None))
            except ProblemError as problem:
                if problem.status == _UNAUTHENTICATED:
                    # The session is over; its tokens must not be tried for every call to come.
                    self.forget()
                raise
