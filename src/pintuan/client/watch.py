"""Follows a group over server-sent events, and connects again when the stream breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from pintuan.buying.groups.schemas import Group
from pintuan.client.errors import BadAnswer, NoAnswer, ProblemError
from pintuan.client.events import EventParser, EventTooLong
from pintuan.client.transport import PAUSE_S, PAUSE_S_MAX, RETRY_AFTER_S_MAX, problem_of, quoted

if TYPE_CHECKING:
    from pintuan.client.session import Session

CONNECT_TIMEOUT_S: Final = 10.0
# Longer than two heartbeats; a stream that says less is dead.
SILENCE_S_MAX: Final = 45.0
# Without an event in between; one that arrives starts the count anew.
CONNECTS_MAX: Final = 10
_MEDIA_TYPE: Final = "text/event-stream"
_NO_CONTENT: Final = 204
_ENDED: Final = frozenset({"succeeded", "failed"})
_REPEATABLE_CODES: Final = frozenset({"overloaded", "rate_limited"})


async def watch_group(session: Session, group_id: str) -> AsyncGenerator[Group, None]:
    """Yields the group now and after every change, until it has succeeded or failed.

    Changes that come fast are told as one. A caller that stops earlier closes the generator, as
    `contextlib.aclosing` does, and with it the connection. Raises ProblemError, NoAnswer after `CONNECTS_MAX`
    vain attempts in a row, and BadAnswer.
    """
    call = f"GET /v1/groups/{quoted(group_id)}/events"
    parser = EventParser()
    vain = 0
    while True:
        vain += 1
        reason, asked_s = "the stream ended", 0.0
        try:
            async with aclosing(_follow(session, group_id, call, parser)) as groups:
                async for group in groups:
                    vain = 0
                    yield group
                    if group.status in _ENDED:
                        return
        except StopWatching:
            return
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
        except ProblemError as problem:
            asked_s = problem.retry_after_s or 0.0
            if problem.code not in _REPEATABLE_CODES or asked_s > RETRY_AFTER_S_MAX or vain >= CONNECTS_MAX:
                raise
        if vain >= CONNECTS_MAX:
            raise NoAnswer(call, vain, reason)
        parser = _resumed(parser)
        await asyncio.sleep(max(asked_s, _pause_s(parser, vain)))


class StopWatching(Exception):
    """The group has ended in the state that was seen last."""


async def _follow(
    session: Session, group_id: str, call: str, parser: EventParser
) -> AsyncGenerator[Group, None]:
    headers = {"Accept": _MEDIA_TYPE, "Cache-Control": "no-store"}
    token = await session.current_token()
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if parser.last_id:
        headers["Last-Event-ID"] = parser.last_id
    async with session.transport.client.stream(
        "GET",
        f"/v1/groups/{quoted(group_id)}/events",
        headers=headers,
        timeout=httpx.Timeout(CONNECT_TIMEOUT_S, read=SILENCE_S_MAX),
    ) as response:
        if response.status_code == _NO_CONTENT:
            raise StopWatching
        if not response.is_success:
            await response.aread()
            raise problem_of(call, response)
        try:
            async for chunk in response.aiter_bytes():
                for event in parser.feed(chunk):
                    if event.type == "group":
                        yield msgspec.json.decode(event.data, type=Group)
        except (msgspec.DecodeError, EventTooLong) as error:
            raise BadAnswer(call, response.status_code, str(error)) from error


def _pause_s(parser: EventParser, vain: int) -> float:
    """The pause the server asked for, or one that grows."""
    if parser.retry_s is not None:
        return min(parser.retry_s, RETRY_AFTER_S_MAX)
    return min(PAUSE_S * 2.0**vain, PAUSE_S_MAX)


def _resumed(parser: EventParser) -> EventParser:
    """A parser for the next response; a cut-off event is lost, the last id is not."""
    fresh = EventParser()
    fresh.last_id, fresh.retry_s = parser.last_id, parser.retry_s
    return fresh
