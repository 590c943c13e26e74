"""The principal of a bearer credential, issued by us, by a trusted issuer, or as an API key.

Verifying costs about as much as everything else in a join, and a shopper's token comes back with every call.
Verified credentials are therefore remembered in bounded tables and recalled without waiting. Three things may
end a credential before its time: its subject's account was erased, its session ended, or its API key was
deleted or belongs to a merchant who may not sell. All reach every process within seconds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import asyncpg
import structlog

from pintuan.base.auth.issuer_tokens import FOREIGN_LEEWAY_S, FOREIGN_LIFETIME_S_MAX, IssuerTokens
from pintuan.base.auth.principal import Principal
from pintuan.base.auth.tokens import Verified
from pintuan.base.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pintuan.base.auth.tokens import TokenVerifier
    from pintuan.base.auth.trusted_issuer import TrustedIssuer

    _ReadRefused: TypeAlias = Callable[[], Awaitable[Collection[str]]]

VERIFIED_COUNT_MAX: Final = 20_000
# Other issuers' tokens may be several times as long as ours.
FOREIGN_COUNT_MAX: Final = 5_000
# A key that was deleted, or whose merchant lost the right to sell, is taken for this long at most.
API_KEY_REMEMBERED_S: Final = 10.0
API_KEY_PREFIX: Final = "ptk_"
# The time until an erasure or the end of a session, made by another process, is known here.
REFUSED_INTERVAL_S: Final = 2.0
REFUSED_TIMEOUT_S: Final = 2.0
# Beyond this the list is cut: it holds minutes of erasures and of ended sessions.
REFUSED_COUNT_MAX: Final = 100_000
# A refusal of this process stays while any token from before can be alive.
REFUSED_HERE_S: Final = FOREIGN_LIFETIME_S_MAX + FOREIGN_LEEWAY_S
REFUSED_HERE_COUNT_MAX: Final = 10_000

_logger = structlog.get_logger("pintuan.base.auth")


class KeyLookup(Protocol):
    """Recognises API keys."""

    async def principal_of(self, text: str) -> Principal:
        """Returns whose key this is; raises `Unauthenticated`."""


class Verifier:
    """Verifies bearer credentials; `now_s` answers the server's time in Unix seconds.

    `read_refused` answers the subjects and the sessions whose tokens are refused; it is asked every
    `REFUSED_INTERVAL_S` within `kept_current`.
    """

    def __init__(
        self,
        own: TokenVerifier,
        now_s: Callable[[], float],
        *,
        api_keys: KeyLookup,
        issuers: Sequence[TrustedIssuer],
        read_refused: _ReadRefused | None = None,
    ) -> None:
        self._own = own
        self._now_s = now_s
        self._api_keys = api_keys
        self._foreign = IssuerTokens(issuers, now_s, on_change=self.forget)
        self._read_refused = read_refused
        self._own_verified: OrderedDict[str, Verified] = OrderedDict()
        self._others_verified: OrderedDict[str, Verified] = OrderedDict()
        self._refused: frozenset[str] = frozenset()
        self._refused_here: OrderedDict[str, float] = OrderedDict()
        self._reads_refused = True

    def recall(self, credential: str) -> Principal | None:
        """Returns the principal of a credential that was verified before and is still good, or None.

        Raises:
            Unauthenticated: its subject or its session is refused by now.
        """
        for table in (self._own_verified, self._others_verified):
            verified = table.get(credential)
            if verified is not None:
                now_s = self._now_s()
                if now_s >= verified.until_s:
                    del table[credential]
                    return None
                table.move_to_end(credential)
                self._check_refused(verified.principal, now_s)
                return verified.principal
        return None

    async def verify(self, credential: str) -> Principal:
        """Returns the principal of a credential, and remembers it.

        Raises:
            Unauthenticated: it is malformed, forged, expired, from the future or for somebody else, or its
                subject or its session is refused.
            Overloaded: who issued it cannot be asked for the moment.
        """
        principal = self.verify_own(credential)
        if principal is not None:
            return principal
        verified = await self._verify_other(credential)
        _remember(self._others_verified, credential, verified, count_max=FOREIGN_COUNT_MAX)
        self._check_refused(verified.principal, self._now_s())
        return verified.principal

    def verify_own(self, credential: str) -> Principal | None:
        """Returns the principal of a token of ours and remembers it; None when somebody else issued it.

        Raises:
            Unauthenticated: see `verify`.
        """
        if not self._own.issued(credential):
            return None
        verified = self._own.verify(credential)
        _remember(self._own_verified, credential, verified, count_max=VERIFIED_COUNT_MAX)
        self._check_refused(verified.principal, self._now_s())
        return verified.principal

    def refuse(self, subject: str) -> None:
        """Refuses a subject's tokens in this process at once; call it when what says so is committed."""
        self._refused_here[subject] = self._now_s() + REFUSED_HERE_S
        self._refused_here.move_to_end(subject)
        if len(self._refused_here) > REFUSED_HERE_COUNT_MAX:
            self._refused_here.popitem(last=False)

    def forget(self) -> None:
        """Forgets what API keys and other issuers' tokens were found to say."""
        self._others_verified.clear()

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Keeps the refused subjects and sessions and the issuers' keys current for the life of the block."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._foreign.kept_current())
            if self._read_refused is not None:
                await stack.enter_async_context(self._refusing(self._read_refused))
            yield

    @asynccontextmanager
    async def _refusing(self, read: _ReadRefused) -> AsyncIterator[None]:
        await self._refresh_refused(read)
        task = asyncio.create_task(self._refresh_for_ever(read), name="refused tokens")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _verify_other(self, credential: str) -> Verified:
        if credential.startswith(API_KEY_PREFIX):
            principal = await self._api_keys.principal_of(credential)
            return Verified(principal, self._now_s() + API_KEY_REMEMBERED_S)
        return await self._foreign.verify(credential)

    def _check_refused(self, principal: Principal, now_s: float) -> None:
        subject = principal.subject
        if subject in self._refused or now_s < self._refused_here.get(subject, 0):
            raise Unauthenticated("The account this token was issued to is gone.")
        if principal.session_id is not None and principal.session_id in self._refused:
            raise Unauthenticated("The session this token was issued for has ended.")

    async def _refresh_refused(self, read: _ReadRefused) -> None:
        try:
            async with asyncio.timeout(REFUSED_TIMEOUT_S):
                refused = await read()
        except (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            # The known refusals stay. An outage is told once, and so is its end.
            if self._reads_refused:
                _logger.warning("refused tokens not read", error=repr(error))
            self._reads_refused = False
            return
        if not self._reads_refused:
            _logger.info("refused tokens read again", count=len(refused))
        self._reads_refused = True
        if len(refused) > REFUSED_COUNT_MAX:
            _logger.error("too many refused tokens", count=len(refused), kept=REFUSED_COUNT_MAX)
        self._refused = frozenset(islice(refused, REFUSED_COUNT_MAX))

    async def _refresh_for_ever(self, read: _ReadRefused) -> None:
        while True:
            await asyncio.sleep(REFUSED_INTERVAL_S)
            await self._refresh_refused(read)


def _remember(
    table: OrderedDict[str, Verified], credential: str, verified: Verified, *, count_max: int
) -> None:
    table[credential] = verified
    if len(table) > count_max:
        table.popitem(last=False)
