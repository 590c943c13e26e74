"""The short way of a placing call: from the bytes of its request to those of its answer.

A flash sale is thousands of calls that differ in a token, a key and a buyer. Such a call needs no task, no
scope, no router and no serializer. The HTTP protocol hands it over as it came, it waits in its lane's queue,
and it is answered from there when its batch is committed. Decisions are those of the ordinary routes
(`pintuan.buying.orders.routes`), made by the same functions.

Unusual calls go the ordinary way: a token of another issuer, a body or a header that is not plainly right, a
lane that this process does not drive yet, a repeated key, stock that another lane may have. An unusual call
is declined, before or after it was placed, and the route decides it anew. This is safe because a call with
its key places once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import structlog

from groups.desk import PLACE_TIMEOUT_S
from groups.errors import GroupsError, Overloaded
from groups.placement import Recorded
from pintuan.base.telemetry.ended_request import EndedRequest
from pintuan.buying.orders.direct_answer import ShownGroup, created_answer
from pintuan.buying.orders.direct_request import read_request
from pintuan.buying.orders.placed import order_of_placed
from pintuan.buying.orders.service import read_placed
from pintuan.http.created import CREATED
from pintuan.http.problems import problem_answer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from pintuan.base.process import Resources
    from pintuan.base.telemetry.request_reports import RequestReports
    from pintuan.buying.groups.schemas import Order
    from pintuan.buying.orders.direct_request import DirectRequest
    from pintuan.http.protocol.direct import Call

# The period between looks for calls that have waited too long, and how many of them are answered at a time.
LOOK_EVERY_S: Final = 0.5
LATE_MAX: Final = 500

_logger = structlog.get_logger("pintuan.placing")


class DirectPlacing:
    """Answers the placing calls of a process while it is `serving`."""

    def __init__(self, reports: RequestReports) -> None:
        self._reports = reports
        self._resources: Resources | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # In the order in which they came, so that those who waited too long stand in front.
        self._waiting: dict[_Waiting, None] = {}
        self._look: asyncio.TimerHandle | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.shown_group = ShownGroup("")

    @contextmanager
    def serving(self, resources: Resources, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Answers calls within the block, unless requests are traced: traces are made on the ordinary way."""
        if resources.tracing is None:
            self.shown_group = ShownGroup(resources.settings.share_base)
            self._resources, self._loop = resources, loop
        try:
            yield
        finally:
            self._resources = None

    def begin(self, call: Call) -> bool:
        """Takes a call on and returns true, or does nothing and returns false: the application answers."""
        resources, loop = self._resources, self._loop
        if resources is None or loop is None:
            return False
        try:
            request = read_request(
                call.target, call.headers, call.body, resources.verifier, resources.gateway_rules
            )
        except Exception:
            # To the parser that calls this, an exception is a malformed request; to the route it is a defect.
            _logger.exception("a placing call could not be read")
            return False
        if request is None:
            return False
        waiting = _Waiting(self, call, request, resources)
        try:
            if not resources.engine.submit(request.placement, waiting.tell):
                return False
        except Overloaded as error:
            waiting.tell(error)
            return True
        self._waiting[waiting] = None
        if self._look is None:
            self._look = loop.call_later(LOOK_EVERY_S, self._look_for_late, loop)
        return True

    @property
    def is_placing(self) -> bool:
        """Says whether a call that is answered this way is under way."""
        return bool(self._waiting)

    def follow(self, answering: Coroutine[Any, Any, None]) -> None:
        """Sees an answer through that takes more than a moment."""
        task = asyncio.create_task(answering)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def ended(self, waiting: _Waiting) -> None:
        """Forgets a call that has its outcome."""
        self._waiting.pop(waiting, None)

    def report(self, request: DirectRequest, status: int) -> None:
        """Has a call's log line written and the call counted, as on the ordinary way."""
        duration_s = time.perf_counter() - request.came_at_s
        self._reports.add(EndedRequest(request.request_id, "POST", request.route, status, duration_s))

    def _look_for_late(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells calls that have waited for `PLACE_TIMEOUT_S` to come again, with their keys."""
        came_before_s = time.perf_counter() - PLACE_TIMEOUT_S
        for waiting in list(islice(self._waiting, LATE_MAX)):
            if waiting.request.came_at_s > came_before_s:
                break
            waiting.tell(Overloaded("the placement took too long, try again with the same key"))
        self._look = loop.call_later(LOOK_EVERY_S, self._look_for_late, loop) if self._waiting else None


class _Waiting:
    """A call whose placement is queued or under way."""

    __slots__ = ("_call", "_has_ended", "_placing", "_resources", "request")

    def __init__(
        self, placing: DirectPlacing, call: Call, request: DirectRequest, resources: Resources
    ) -> None:
        self._placing, self._call, self._resources = placing, call, resources
        self._has_ended = False
        self.request = request

    def tell(self, outcome: Recorded | Exception) -> None:
        """Answers the call, or declines it if the engine's first word does not settle it."""
        if self._has_ended:
            return
        self._has_ended = True
        self._placing.ended(self)
        try:
            self._answer(outcome)
        except Exception:
            # The engine calls this in the middle of a batch that is others' too; the route knows what to do.
            _logger.exception("a direct answer failed", request_id=self.request.request_id)
            self._call.decline()

    def _answer(self, outcome: Recorded | Exception) -> None:
        request = self.request
        if isinstance(outcome, Recorded) and outcome.placed is not None:
            self._created(
                order_of_placed(
                    outcome.order_id, outcome.placed, self._placing.shown_group.in_place(outcome.placed)
                )
            )
        elif isinstance(outcome, Recorded) and not outcome.replayed:
            self._placing.follow(self._read_and_answer(outcome.order_id))
        elif isinstance(outcome, GroupsError) and self._resources.engine.is_last_word(
            request.placement, outcome
        ):
            status, headers, body = problem_answer(outcome, request.request_id)
            self._call.answer(status, headers, body)
            self._placing.report(request, status)
        else:
            self._call.decline()

    def _created(self, order: Order) -> None:
        headers, body = created_answer(order, self.request.request_id)
        self._call.answer(CREATED, headers, body)
        self._placing.report(self.request, CREATED)

    async def _read_and_answer(self, order_id: str) -> None:
        """Answers for an order that a call with the same key recorded, while this one has placed it."""
        try:
            buyer_id = self.request.placement.buyer_id
            order = await read_placed(
                self._resources.pool, order_id, buyer_id, share_base=self._resources.settings.share_base
            )
        except Exception:
            # Nobody waits for this task; the route asks again, and answers for any error.
            _logger.exception("a placed order could not be read", request_id=self.request.request_id)
            self._call.decline()
        else:
            self._created(order)
