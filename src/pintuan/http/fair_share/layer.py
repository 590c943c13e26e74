"""The ASGI layer in which calls wait for a place of their class."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from litestar.enums import ScopeType

from pintuan.base.errors import NotNow
from pintuan.http.client_address import limit_key_of
from pintuan.http.fair_share.call_class import CallClass, class_of
from pintuan.http.fair_share.limits import ASIDE_MAX, HELD_S_MAX, PLACES, REST_S_MAX, Places
from pintuan.http.fair_share.long_answer import LongAnswer
from pintuan.http.fair_share.pace import Measured, Pace
from pintuan.http.fair_share.waiting_room import WaitingRoom
from pintuan.http.fair_share.whole_body import arrived
from pintuan.http.hanging_up import hang_up_of
from pintuan.http.problems import send_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

CLASS_KEY: Final = "pintuan.call_class"
"""Where a scope tells the class of its call."""

_logger = structlog.get_logger("pintuan.http.fair_share")


class FairShare:
    """Lets through as many calls of each class as it has places; answers 429 or 503 to the others.

    Joins that are answered without the application never come here. `places_calls` says whether any are under
    way: only then does a place pause between two calls.
    """

    def __init__(
        self,
        app: ASGIApp,
        places_calls: Callable[[], bool],
        *,
        places: Mapping[CallClass, Places] = PLACES,
    ) -> None:
        self._app = app
        self._pace = Pace(places_calls)
        self._places = places
        self.rooms = {call_class: WaitingRoom(of.count) for call_class, of in places.items() if of.count}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for the body, then for a place, and passes the call on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        call_class = class_of(scope["method"], scope["path"], scope["query_string"])
        cast("dict[str, Any]", scope)[CLASS_KEY] = call_class
        room = self.rooms.get(call_class)
        if room is None:
            await self._app(scope, receive, send)
            return
        receive = await arrived(scope, receive)
        if not room.try_enter():
            try:
                await room.enter(limit_key_of(scope))
            except NotNow as error:
                await send_problem(error, send)
                return
        place = _Place(self._places[call_class], room, self._pace, scope)
        # The application is a coroutine function, whatever the type of an ASGI application says.
        work = cast("Coroutine[Any, Any, None]", self._app(scope, receive, place.watching(send)))
        place.work = Measured(work)
        try:
            await place.work
        finally:
            place.end()


class _Place:
    """A place that is held, or given to others while an answer waits for its client."""

    __slots__ = (
        "_began_s",
        "_is_aside",
        "_is_held",
        "_late",
        "_of",
        "_pace",
        "_paid_s",
        "_room",
        "_scope",
        "work",
    )

    def __init__(self, of: Places, room: WaitingRoom, pace: Pace, scope: Scope) -> None:
        self._of, self._room, self._pace, self._scope = of, room, pace, scope
        self._is_held = self._is_aside = False
        self._began_s = self._paid_s = 0.0
        self._late: asyncio.TimerHandle | None = None
        self.work: Measured | None = None
        self._hold()

    def watching(self, send: Send) -> Send:
        """Returns `send`, which also notices that an answer is there, or that its client is slow."""
        if self._of.whole:
            return LongAnswer(send, self, self._hang_up).send

        async def send_and_notice(message: Message) -> None:
            # Before it is sent: a client that takes nothing would hold the place for as long as it likes.
            self.give_back()
            await send(message)

        return send_and_notice

    def step_aside(self) -> None:
        """Gives the place to others while the client lets us wait; hangs up where too many are aside."""
        if not self._is_held:
            return
        if self._room.aside >= ASIDE_MAX:
            self._hang_up()
            return
        self._is_aside = True
        self._room.aside += 1
        self.give_back()

    async def step_back(self) -> None:
        """Waits for a place again, as anybody does; hangs up where none gets free."""
        if not self._is_aside:
            return
        try:
            await self._room.enter(limit_key_of(self._scope))
        except NotNow:
            # The answer has begun, so there is nothing else left to say.
            self._hang_up()
            return
        self._leave_aside()
        self._hold()

    def end(self) -> None:
        """Gives back what is held."""
        self._leave_aside()
        self.give_back()

    def give_back(self) -> None:
        """Gives the place back, after the pause it owes; doing it twice changes nothing."""
        if not self._is_held:
            return
        self._is_held = False
        if self._late is not None:
            self._late.cancel()
        took_s = 0.0 if self.work is None else self.work.took_s
        pause_s = self._pace.pause_s(took_s - self._paid_s)
        self._paid_s = took_s
        if pause_s and self._of.rest:
            rest_s = (time.monotonic() - self._began_s) * self._of.rest
            pause_s = max(pause_s, min(rest_s, REST_S_MAX))
        if pause_s:
            asyncio.get_running_loop().call_later(pause_s, self._room.leave)
        else:
            self._room.leave()

    def _hold(self) -> None:
        self._is_held = True
        self._began_s = time.monotonic()
        self._late = asyncio.get_running_loop().call_later(HELD_S_MAX, self.give_back)

    def _leave_aside(self) -> None:
        if self._is_aside:
            self._is_aside = False
            self._room.aside -= 1

    def _hang_up(self) -> None:
        """Ends the connection, upon which the server tells the application that its client is gone."""
        _logger.info("hung up on a slow reader", path=self._scope["path"])
        hang_up_of(self._scope)()
