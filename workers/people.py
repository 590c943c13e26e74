"""The jobs about people: messages to them, and forgetting what need not be known any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pintuan.base.jobs.passes import Passes, until_nothing_left
from pintuan.people.activity.store import forget_addresses
from pintuan.people.consents.service import reseal
from pintuan.people.identity.limits import CLIENT_KNOWN_MS
from pintuan.people.identity.store import purge
from pintuan.reach.invites.store import forget_recipients, settle_waiting

if TYPE_CHECKING:
    import asyncpg

    from groups.setbacks import Work
    from pintuan.base.keyring import Keyring
    from pintuan.people.notifications.courier import Courier
    from pintuan.people.personal.erasures import Eraser
    from pintuan.reach.nudges.service import Nudger

NUDGES_PER_ROUND: Final = 20
ROWS_PER_ROUND: Final = 1_000
ERASURES_PER_ROUND: Final = 50
UNSUBSCRIBES_PER_ROUND: Final = 100
# How long it can be seen that a session was there.
SESSION_AGE_MS: Final = 24 * 3_600_000


class People:
    """The work of one process for people, each kind in passes that do not overlap."""

    def __init__(
        self, pool: asyncpg.Pool, keyring: Keyring, courier: Courier, nudger: Nudger, eraser: Eraser
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._courier = courier
        self._nudger = nudger
        self._eraser = eraser
        self.notifications = Passes("notifications", self._deliver)
        self.nudges = Passes("nudges", self._nudge)
        self.erasures = Passes("erasures", self._erase)
        self.tidying = Passes("tidying", self._tidy)
        courier.on_ended = self.notifications.ask

    def second_tries(self) -> dict[str, Work]:
        """Returns how rows are tried again that a sweep for people failed on."""
        return self._nudger.second_tries() | self._eraser.second_tries()

    async def close(self) -> None:
        """Waits for what is under way in the background."""
        for passes in (self.nudges, self.notifications, self.erasures, self.tidying):
            await passes.close()
        await self._courier.close()

    async def _deliver(self) -> None:
        # What there is no room for now is started when something has ended: `on_ended` asks for a pass.
        await self._courier.start_due()
        # Invitations come second, and in one round a pass, so that no code waits for their settling.
        if await self._settle_invites(ROWS_PER_ROUND):
            self.notifications.ask()

    async def _nudge(self) -> None:
        if await until_nothing_left(self._nudger.tell_due, NUDGES_PER_ROUND):
            self.notifications.ask()

    async def _erase(self) -> None:
        if await self._eraser.look(ERASURES_PER_ROUND):
            self.erasures.ask_in(0)

    async def _tidy(self) -> None:
        await until_nothing_left(self._courier.tidy, ROWS_PER_ROUND)
        await until_nothing_left(self._purge, ROWS_PER_ROUND)
        await until_nothing_left(self._forget_invited, ROWS_PER_ROUND)
        await until_nothing_left(self._reseal, UNSUBSCRIBES_PER_ROUND)
        await until_nothing_left(self._forget_addresses, ROWS_PER_ROUND)

    async def _settle_invites(self, limit: int) -> int:
        return await settle_waiting(self._pool, limit)

    async def _purge(self, limit: int) -> int:
        return await purge(self._pool, session_age_ms=SESSION_AGE_MS, known_ms=CLIENT_KNOWN_MS, limit=limit)

    async def _forget_invited(self, limit: int) -> int:
        return await forget_recipients(self._pool, limit)

    async def _forget_addresses(self, limit: int) -> int:
        return await forget_addresses(self._pool, limit)

    async def _reseal(self, limit: int) -> int:
        return await reseal(self._pool, self._keyring, limit)
