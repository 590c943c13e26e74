"""Makes the calls of one seed and notes each with its answer in the seed's history."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.chaos.history import Call, GroupSeen, OrderSeen
from benchmarks.chaos.wire import HOST, LOST, Answer, request_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.chaos.history import History, Verb
    from benchmarks.chaos.wire import Address

CALL_WAIT_S: Final = 6.0
STREAM_WAIT_S: Final = 20.0
EVENT_BYTES_MAX: Final = 256 * 1024
DETAIL_LENGTH_MAX: Final = 300
_OK_MAX: Final = 399
_SUCCESSES: Final = frozenset({200, 201})
_NOT_MODIFIED: Final = 304


class _Money(msgspec.Struct):
    amount: int


class _Order(msgspec.Struct, kw_only=True):
    id: str
    deal_id: str
    group_id: str | None
    seat: int | None
    status: str
    quantity: int
    promised_price: _Money
    charged_unit_price: _Money | None
    group: GroupSeen | None

    def seen(self) -> OrderSeen:
        return OrderSeen(
            id=self.id,
            deal_id=self.deal_id,
            group_id=self.group_id,
            seat=self.seat,
            status=self.status,
            quantity=self.quantity,
            promised_minor=self.promised_price.amount,
            charged_minor=self.charged_unit_price.amount if self.charged_unit_price else None,
        )


class _Groups(msgspec.Struct):
    items: tuple[GroupSeen, ...]


class _Problem(msgspec.Struct):
    code: str | None = None
    order_id: str | None = None


class Caller:
    """Whoever a seed's shoppers call through; moments are seconds of the monotonic clock since `begin`."""

    def __init__(self, addresses: Sequence[Address], history: History) -> None:
        self._addresses = addresses
        self.history = history
        self._began_s = time.monotonic()

    def begin(self) -> None:
        """Counts moments from now on."""
        self._began_s = time.monotonic()

    def now_s(self) -> float:
        """Seconds since the round began."""
        return time.monotonic() - self._began_s

    async def call(
        self,
        verb: Verb,
        method: str,
        path: str,
        *,
        buyer: str,
        about: str,
        at: int,
        token: str | None = None,
        key: str | None = None,
        body: dict[str, Any] | None = None,
        body_no: int = 0,
        within_s: float = CALL_WAIT_S,
    ) -> Call:
        """Makes one call at address number `at` and returns it as noted."""
        placing = verb == "place" and body is not None
        call = Call(
            verb=verb,
            buyer=buyer,
            about=about,
            invoked_s=self.now_s(),
            wish=f"{buyer} {path} {key}" if placing else "",
            body_no=body_no,
            quantity=body["quantity"] if placing and body else 0,
            payment_method=body["payment_method"] if placing and body else "",
        )
        self.history.calls.append(call)
        encoded = b"" if body is None else msgspec.json.encode(body)
        request = request_bytes(method, path, token=token, key=key, body=encoded)
        address = self._addresses[at % len(self._addresses)]
        _note(call, await address.call(request, within_s), self.now_s())
        return call

    async def plain(
        self, method: str, path: str, *, token: str, body: dict[str, Any] | None, at: int
    ) -> Answer:
        """Makes a call that is no part of the history."""
        encoded = b"" if body is None else msgspec.json.encode(body)
        address = self._addresses[at % len(self._addresses)]
        return await address.call(request_bytes(method, path, token=token, body=encoded), CALL_WAIT_S)

    async def follow(self, group_id: str, *, buyer: str, at: int) -> None:
        """Follows a group until it has ended or the stream does, and notes each state that is shown."""
        address = self._addresses[at % len(self._addresses)]
        try:
            async with asyncio.timeout(STREAM_WAIT_S):
                reader, writer = await asyncio.open_connection(HOST, address.port, limit=EVENT_BYTES_MAX)
                try:
                    writer.write(request_bytes("GET", f"/v1/groups/{group_id}/events"))
                    async for line in reader:
                        if line.startswith(b"data: "):
                            self._note_event(group_id, buyer, line.removeprefix(b"data: "))
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return  # A stream may end at any time; whoever followed it reads the group.

    def _note_event(self, group_id: str, buyer: str, data: bytes) -> None:
        now_s = self.now_s()
        try:
            seen = msgspec.json.decode(data, type=GroupSeen)
        except msgspec.DecodeError:
            return  # The end of the stream cut it short.
        self.history.calls.append(
            Call(
                verb="event",
                buyer=buyer,
                about=group_id,
                invoked_s=now_s,
                ended_s=now_s,
                status=200,
                groups=(seen,),
            )
        )


def _note(call: Call, answer: Answer, now_s: float) -> None:
    """Adds an answer to a call; one that cannot be read is kept as it came."""
    call.ended_s = now_s
    call.status = answer.status
    call.has_retry_after = answer.headers.get(b"retry-after", b"").isdigit()
    if answer.status == LOST:
        call.detail = answer.body.decode(errors="replace")
        return
    try:
        if answer.status > _OK_MAX:
            problem = msgspec.json.decode(answer.body, type=_Problem)
            call.code, call.order_id = problem.code, problem.order_id
        elif answer.status in _SUCCESSES:
            _read(call, answer.body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        call.detail = f"{error}: {answer.body[:DETAIL_LENGTH_MAX]!r}"
        return
    if answer.status > _OK_MAX:
        call.detail = answer.body[:DETAIL_LENGTH_MAX].decode(errors="replace")


def _read(call: Call, body: bytes) -> None:
    match call.verb:
        case "place" | "cancel" | "order":
            order = msgspec.json.decode(body, type=_Order)
            call.order, call.order_id = order.seen(), order.id
            call.groups = () if order.group is None else (order.group,)
        case "group":
            call.groups = (msgspec.json.decode(body, type=GroupSeen),)
        case "listing":
            call.groups = msgspec.json.decode(body, type=_Groups).items
        case _:
            pass
