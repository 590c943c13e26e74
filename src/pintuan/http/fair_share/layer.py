"""The ASGI layer in which calls wait for a place of their class."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, cast

from litestar.enums import ScopeType

from groups.errors import GroupsError
from pintuan.http.client_address import limit_key_of
from pintuan.http.fair_share.call_class import CallClass, class_of
from pintuan.http.fair_share.limits import HELD_S_MAX, PLACES, REST_S_MAX, Places
from pintuan.http.fair_share.pace import Measured, Pace
from pintuan.http.fair_share.waiting_room import WaitingRoom
from pintuan.http.problems import send_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

CLASS_KEY: Final = "pintuan.call_class"
"""Where a scope tells the class of its call."""


class FairShare:
    """Lets as many calls of each class through as it has places, and answers 429 or 503 to those too many.

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
        """Waits for a place, and passes the call on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        call_class = class_of(scope["method"], scope["path"], scope["query_string"])
        cast("dict[str, Any]", scope)[CLASS_KEY] = call_class
        room = self.rooms.get(call_class)
        if room is None:
            await self._app(scope, receive, send)
            return
        if not room.try_enter():
            try:
                await room.enter(limit_key_of(scope))
            except GroupsError as error:
                await send_problem(error, send)
                return
        place = _Place(self._places[call_class], room, self._pace)
        # The application is a coroutine function, whatever the type of an ASGI application says.
        work = cast("Coroutine[Any, Any, None]", self._app(scope, receive, place.watching(send)))
        place.work = Measured(work)
        try:
            await place.work
        finally:
            place.give_back()


class _Place:
    """A place that is held."""

    __slots__ = ("_began_s", "_given_back", "_late", "_of", "_pace", "_room", "work")

    def __init__(self, of: Places, room: WaitingRoom, pace: Pace) -> None:
        self._of, self._room, self._pace = of, room, pace
        self._began_s = time.monotonic()
        self._given_back = False
        self._late = asyncio.get_running_loop().call_later(HELD_S_MAX, self.give_back)
        self.work: Measured | None = None

    def watching(self, send: Send) -> Send:
        """Returns `send`, which also notices that the answer begins."""
        if self._of.whole:
            return send

        async def send_and_notice(message: Message) -> None:
            await send(message)
            if not self._given_back and message["type"] == "http.response.body":
                self.give_back()

        return send_and_notice

    def give_back(self) -> None:
        """Gives the place back, after the pause it owes; doing it twice changes nothing."""
        if self._given_back:
            return
        self._given_back = True
        self._late.cancel()
        took_s = 0.0 if self.work is None else self.work.took_s
        pause_s = self._pace.pause_s(took_s)
        if pause_s and self._of.rest:
            rest_s = (time.monotonic() - self._began_s) * self._of.rest
            pause_s = max(pause_s, min(rest_s, REST_S_MAX))
        if pause_s:
            asyncio.get_running_loop().call_later(pause_s, self._room.leave)
        else:
            self._room.leave()
