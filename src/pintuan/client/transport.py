"""Sends calls over HTTP: deadlines, repeated tries, and answers decoded into structs.

A call that carries an idempotency key, or only reads, is repeated after a lost answer: that is what the keys
are for. Any other is repeated only when it cannot have begun: no connection was made, or the rate was used
up.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec

from pintuan.base.errors import FieldError
from pintuan.client.errors import BadAnswer, NoAnswer, ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_TIMEOUT_S: Final = 10.0
DEADLINE_S: Final = 60.0
TRIES_MAX: Final = 5
PAUSE_S: Final = 0.2
PAUSE_S_MAX: Final = 3.0
# Asked to wait longer than this, a call ends with the problem, which says how long.
RETRY_AFTER_S_MAX: Final = 10
CONNECTIONS_MAX: Final = 100
ERROR_BODY_BYTES_MAX: Final = 64 * 1024

_RATE_LIMITED: Final = "rate_limited"
_REPEATABLE_CODES: Final = frozenset({_RATE_LIMITED, "overloaded", "idempotency_in_flight"})
# Where these end a try, nothing was sent.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of the API; `answer` is the type of its body, NoneType or Part where it is no JSON.

    `body` is sent as JSON, `content` as it is, of the type `content_type`. `key` is the idempotency key.
    `headers` are sent beside those that every call has.
    """

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str | int | None] | None = None
    body: msgspec.Struct | None = None
    content: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    key: str | None = None
    signed: bool = True
    timeout_s: float = CALL_TIMEOUT_S

    @property
    def name(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {self.path}"

    @property
    def repeatable(self) -> bool:
        """Says whether the call may be sent again when its answer was lost."""
        return self.method == "GET" or self.key is not None


class Part(msgspec.Struct, frozen=True):
    """An answer that is no JSON, as it came; `next_cursor` leads to the next part where there is one."""

    content: bytes
    next_cursor: str | None


class _Problem(msgspec.Struct):
    """The fields read of a problem document."""

    code: str
    detail: str = ""
    errors: list[FieldError] = []
    order_id: str | None = None


class Transport:
    """Connections to one marketplace, shared by all who call through them."""

    def __init__(self, client: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> None:
        self.client = client
        self._deadline_s = deadline_s

    async def send(self, call: Call[T], *, token: str | None) -> T:
        """Returns the decoded answer; tries up to `TRIES_MAX` times within the deadline.

        Raises ProblemError, NoAnswer or BadAnswer.
        """
        # A call that takes longer by its nature has that much longer in all.
        ends_s = time.monotonic() + self._deadline_s + call.timeout_s - CALL_TIMEOUT_S
        request = _request_of(self.client, call, token)
        for tries in range(1, TRIES_MAX + 1):
            left_s = ends_s - time.monotonic()
            last = tries == TRIES_MAX or left_s <= 0
            trouble = await self._try(call, request, timeout_s=max(min(call.timeout_s, left_s), 0.001))
            if not isinstance(trouble, ProblemError | httpx.TransportError):
                return trouble
            pause_s = _pause_s(call, trouble, tries)
            if last or pause_s is None or time.monotonic() + pause_s > ends_s:
                raise _ended(call, trouble, tries) from trouble
            await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    async def _try(
        self, call: Call[T], request: httpx.Request, *, timeout_s: float
    ) -> T | ProblemError | httpx.TransportError:
        request.extensions = {**request.extensions, "timeout": httpx.Timeout(timeout_s).as_dict()}
        try:
            async with asyncio.timeout(timeout_s):
                response = await self.client.send(request)
        except httpx.TransportError as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout(f"not within {timeout_s:g} s", request=request)
        if response.is_success:
            return _decode(call, response)
        return problem_of(call.name, response)


def quoted(id_: str) -> str:
    """Returns an id as one segment of a path."""
    return quote(id_, safe="")


def problem_of(call: str, response: httpx.Response) -> ProblemError:
    """Returns the problem that an answer other than a success tells of.

    Raises BadAnswer where it is none: a proxy in between, or another server, answers in its own words.
    """
    try:
        problem = msgspec.json.decode(response.content[:ERROR_BODY_BYTES_MAX], type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(call, response.status_code, response.reason_phrase) from error
    wait = response.headers.get("retry-after", "")
    return ProblemError(
        problem.code,
        response.status_code,
        problem.detail,
        errors=problem.errors,
        retry_after_s=int(wait) if wait.isdecimal() else None,
        order_id=problem.order_id,
        request_id=response.headers.get("x-request-id"),
    )


def _request_of(client: httpx.AsyncClient, call: Call[T], token: str | None) -> httpx.Request:
    headers = {"Accept": "application/json", **(call.headers or {})}
    content = call.content if call.body is None else msgspec.json.encode(call.body)
    if token is not None and call.signed:
        headers["Authorization"] = f"Bearer {token}"
    if call.key is not None:
        headers["Idempotency-Key"] = call.key
    if content is not None:
        headers["Content-Type"] = call.content_type
    query = {name: value for name, value in (call.query or {}).items() if value is not None}
    return client.build_request(call.method, call.path, params=query, content=content, headers=headers)


def _decode(call: Call[T], response: httpx.Response) -> T:
    if call.answer is Part:
        return cast("T", Part(response.content, _next_cursor_of(response)))
    if call.answer is type(None):
        return None
    try:
        return msgspec.json.decode(response.content, type=call.answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(call.name, response.status_code, str(error)) from error


def _next_cursor_of(response: httpx.Response) -> str | None:
    """The cursor in the link to the next part (RFC 8288)."""
    link = response.links.get("next", {}).get("url")
    return None if link is None else httpx.URL(link).params.get("cursor")


def _pause_s(call: Call[T], trouble: ProblemError | httpx.TransportError, tries: int) -> float | None:
    """Returns how long to wait before the next try, or None when there must be none."""
    # Callers that failed together should not come back together.
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers; nobody gains by guessing it.
    backoff_s = min(PAUSE_S * 2.0 ** (tries - 1), PAUSE_S_MAX) * jitter
    if isinstance(trouble, httpx.TransportError):
        return backoff_s if call.repeatable or isinstance(trouble, _NOT_SENT) else None
    if trouble.code not in _REPEATABLE_CODES or not (call.repeatable or trouble.code == _RATE_LIMITED):
        return None
    if trouble.retry_after_s is None:
        return backoff_s
    return trouble.retry_after_s if trouble.retry_after_s <= RETRY_AFTER_S_MAX else None


def _ended(
    call: Call[T], trouble: ProblemError | httpx.TransportError, tries: int
) -> ProblemError | NoAnswer:
    if isinstance(trouble, ProblemError):
        return trouble
    return NoAnswer(call.name, tries, str(trouble) or type(trouble).__name__)
