"""Problem documents (RFC 9457): one table from exception classes to status, code and title.

Everything that ends a request early passes here. The table alone says which status an exception is answered
with. It begins with the refusals that any call may meet. The composition root adds each noun's, from the
noun's `problems.py`. An unknown exception is logged with its traceback and answered as `internal`, without a
word about the inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import asyncpg
import msgspec
import redis.exceptions
import structlog
from litestar import Response
from litestar import exceptions as http
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from groups import errors as refusals
from pintuan.base.errors import (
    ClientGone,
    FieldError,
    Forbidden,
    IdempotencyKeyMissing,
    InvalidInput,
    LimitReached,
    NotFound,
    NotNow,
    NotReady,
    Overloaded,
    RateLimited,
    Rejected,
    Unauthenticated,
    UnsupportedMediaType,
)
from pintuan.base.telemetry.metrics import DENIED, REFUSALS
from pintuan.base.wire.patterns import in_words
from pintuan.http.methods import allow_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request
    from litestar.types import Send

    from pintuan.base.auth.principal import Principal

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/docs/problems#"
STORE_RETRY_AFTER_S: Final = 1

_logger = structlog.get_logger("pintuan.http.problems")


def _member(description: str, example: object) -> msgspec.Meta:
    return msgspec.Meta(description=description, examples=[example])


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A problem document, RFC 9457 section 3.1, with a stable `code` and two extension members.

    `errors` comes with `invalid`, `order_id` with `already_joined`; `instance` names the request in the
    logs when the fault is the server's.
    """

    type: Annotated[str, _member("Where the code is explained.", "/docs/problems#group_full")]
    title: Annotated[str, _member("What the code means, in a few words.", "The group is full")]
    status: Annotated[int, _member("The HTTP status.", 409)]
    detail: Annotated[str, _member("What was wrong this time.", "Every seat of the group is held or taken.")]
    code: Annotated[str, _member("What a program decides by; it stays the same.", "group_full")]
    instance: Annotated[
        str | msgspec.UnsetType,
        _member("Names the request in the logs.", "urn:pintuan:request:5f0c1b2a3d4e5f6071829304"),
    ] = msgspec.UNSET
    errors: Annotated[
        list[FieldError] | msgspec.UnsetType, msgspec.Meta(description="Every field that does not fit.")
    ] = msgspec.UNSET
    order_id: Annotated[
        str | msgspec.UnsetType, _member("The order of the seat one has already.", "ord_0192f0c1a2b3")
    ] = msgspec.UNSET


class Kind(msgspec.Struct, frozen=True):
    """One row of the table; the reader is told `detail` when the exception says nothing more.

    `shows` are the exception's attributes that are members of the document.
    """

    status: int
    code: str
    title: str
    detail: str
    shows: tuple[str, ...] = ()


_INVALID = Kind(400, "invalid", "The request is invalid", "The request does not fit the contract.")
_UNAUTHENTICATED = Kind(
    401, "unauthenticated", "Sign in first", "A valid access token is needed in the Authorization header."
)
_FORBIDDEN = Kind(403, "forbidden", "Not allowed", "The token's role does not allow this call.")
NOT_FOUND = Kind(404, "not_found", "Not found", "Nothing is here, or it is not yours to see.")
_OVERLOADED = Kind(
    503,
    "overloaded",
    "Try again in a moment",
    "The service could not answer in time. Repeat the call, with the same Idempotency-Key where it has one.",
)
_NOT_READY = Kind(503, "overloaded", "Not ready", "This process cannot serve for the moment.")
_RATE_LIMITED = Kind(429, "rate_limited", "Too many requests", "The rate allowed is used up for the moment.")
LIMIT_REACHED = Kind(
    409, "limit_reached", "Limit reached", "The order would exceed the units a buyer may have."
)
_INTERNAL = Kind(500, "internal", "Something went wrong", "The fault is on our side and has been logged.")

# Nobody receives it; the status is what the request's log line and the metrics call such an end.
_CLIENT_GONE: Final = Kind(499, "client_gone", "The client hung up", "The body did not arrive in full.")

_KINDS: Final[dict[type[BaseException], Kind]] = {
    InvalidInput: _INVALID,
    IdempotencyKeyMissing: Kind(
        400,
        "idempotency_key_missing",
        "Idempotency-Key is missing",
        "This call needs an Idempotency-Key header of 1 to 255 printable characters.",
    ),
    Unauthenticated: _UNAUTHENTICATED,
    Forbidden: _FORBIDDEN,
    NotFound: NOT_FOUND,
    UnsupportedMediaType: Kind(
        415, "unsupported_media_type", "Unsupported media type", "The body must be application/json."
    ),
    NotReady: _NOT_READY,
    ClientGone: _CLIENT_GONE,
    LimitReached: LIMIT_REACHED,
    RateLimited: _RATE_LIMITED,
    Overloaded: _OVERLOADED,
    # The group engine's refusals of any call.
    refusals.IdempotencyInFlight: Kind(
        409,
        "idempotency_in_flight",
        "Still being decided",
        "Another request with this Idempotency-Key is still being decided; repeat it in a moment.",
    ),
    refusals.IdempotencyKeyReused: Kind(
        422,
        "idempotency_key_reused",
        "Idempotency-Key was used before",
        "This Idempotency-Key was recorded with a different body.",
    ),
    refusals.RateLimited: _RATE_LIMITED,
    refusals.Overloaded: _OVERLOADED,
    # The framework's exceptions before a handler runs.
    http.ClientException: _INVALID,
    http.ValidationException: _INVALID,
    http.NotAuthorizedException: _UNAUTHENTICATED,
    http.PermissionDeniedException: _FORBIDDEN,
    http.NotFoundException: NOT_FOUND,
    http.NoRouteMatchFoundException: _INTERNAL,
    # No text in Postgres holds a NUL character, so an id that does, in a path, names nothing. Bodies and
    # cursors were looked through before.
    asyncpg.CharacterNotInRepertoireError: NOT_FOUND,
    http.MethodNotAllowedException: Kind(
        405, "method_not_allowed", "Method not allowed", "This resource does not support the method."
    ),
    RequestEntityTooLarge: Kind(413, "too_large", "Too large", "The body is larger than this call accepts."),
    http.TooManyRequestsException: _RATE_LIMITED,
    http.ServiceUnavailableException: _OVERLOADED,
    # Trouble with a store: nothing was answered in time, and the caller may repeat the call.
    asyncpg.PostgresConnectionError: _OVERLOADED,
    # The errors of a statement on a connection that Postgres is ending but has not ended yet.
    asyncpg.InternalClientError: _OVERLOADED,
    asyncpg.OperatorInterventionError: _OVERLOADED,
    asyncpg.InsufficientResourcesError: _OVERLOADED,
    asyncpg.LockNotAvailableError: _OVERLOADED,
    asyncpg.TransactionRollbackError: _OVERLOADED,
    asyncpg.ReadOnlySQLTransactionError: _OVERLOADED,
    redis.exceptions.ConnectionError: _OVERLOADED,
    redis.exceptions.TimeoutError: _OVERLOADED,
    redis.exceptions.ReadOnlyError: _OVERLOADED,
    redis.exceptions.OutOfMemoryError: _OVERLOADED,
    redis.exceptions.ClusterError: _OVERLOADED,
    redis.exceptions.MasterDownError: _OVERLOADED,
    # Connections that cannot be made come as many classes: refused, timed out, no socket there, no route.
    OSError: _OVERLOADED,
}

# asyncpg raises its plain InterfaceError both for a misuse of its API and for a connection or a pool that
# went away between two statements. Only the latter is worth a retry, and only the text tells them apart.
_CONNECTION_GONE: Final = ("closed", "closing")

_encoder = msgspec.json.Encoder()


def add_kinds(added: Mapping[type[BaseException], Kind]) -> None:
    """Adds what a noun refuses to the table, before anything is answered.

    Raises:
        ValueError: an exception is in the table already, or a code stands for something else there.
    """
    rows = {kind.code: kind for kind in kinds()}
    for cls, kind in added.items():
        if cls in _KINDS:
            raise ValueError(f"{cls.__name__} has its row already")
        if rows.get(kind.code, kind) != kind:
            raise ValueError(f"the code {kind.code} of {cls.__name__} stands for something else")
        _KINDS[cls] = kind
        _refusal_counters[kind.code] = REFUSALS.labels(kind.code)


def kinds() -> list[Kind]:
    """Returns every row of the table once, by status and code; the docs page and OpenAPI are made from it."""
    unlisted = (_NOT_READY, _CLIENT_GONE)
    rows = {kind.code: kind for kind in (*_KINDS.values(), _INTERNAL) if kind not in unlisted}
    return sorted(rows.values(), key=lambda kind: (kind.status, kind.code))


def overloaded_document() -> bytes:
    """Returns the encoded document of `overloaded` for those who refuse before a request is even read."""
    return _encoder.encode(
        Problem(
            type=TYPE_PREFIX + _OVERLOADED.code,
            title=_OVERLOADED.title,
            status=_OVERLOADED.status,
            detail=_OVERLOADED.detail,
            code=_OVERLOADED.code,
        )
    )


def invalid_document(status: int, message: str) -> bytes:
    """Returns the encoded document of `invalid` for a message that is no request, with its status."""
    return _encoder.encode(
        Problem(
            type=TYPE_PREFIX + _INVALID.code,
            title=_INVALID.title,
            status=status,
            detail=_INVALID.detail,
            code=_INVALID.code,
            errors=[FieldError("request", message)],
        )
    )


def _kind_of(exc: BaseException) -> Kind:
    for cls in type(exc).__mro__:
        kind = _KINDS.get(cls)
        if kind is not None:
            return kind
    if type(exc) is asyncpg.InterfaceError and any(word in str(exc) for word in _CONNECTION_GONE):
        return _OVERLOADED
    return _INTERNAL


# There from the start, so that a graph of a code nobody met yet says 0.
_refusal_counters: Final = {kind.code: REFUSALS.labels(kind.code) for kind in (*_KINDS.values(), _INTERNAL)}


def problem_of(exc: BaseException) -> tuple[Problem, dict[str, str]]:
    """Returns the document for `exc` and its headers; counts it, and logs what an operator must see."""
    kind = _kind_of(exc)
    _refusal_counters[kind.code].inc()
    problem = Problem(
        type=TYPE_PREFIX + kind.code,
        title=kind.title,
        status=kind.status,
        detail=_detail_of(exc, kind),
        code=kind.code,
    )
    if kind is _INVALID or kind is _NOT_READY:
        problem.errors = _field_errors_of(exc)
    for name in kind.shows:
        setattr(problem, name, getattr(exc, name))
    if kind.status >= _INTERNAL.status:
        _report(exc, kind, problem)
    return problem, _headers_of(exc, kind)


def _detail_of(exc: BaseException, kind: Kind) -> str:
    """Only our own exceptions may speak to the caller: anybody else's text may hold internals."""
    if isinstance(exc, Rejected | refusals.GroupsError) and kind is not _OVERLOADED:
        return str(exc) or kind.detail
    return kind.detail


def _field_errors_of(exc: BaseException) -> list[FieldError]:
    if isinstance(exc, InvalidInput | NotReady):
        return exc.errors
    if isinstance(exc, http.ValidationException) and isinstance(exc.extra, list):
        return [_parameter_error(entry) for entry in exc.extra]
    detail = exc.detail if isinstance(exc, http.HTTPException) else str(exc)
    return [FieldError("request", detail)]


def _parameter_error(entry: Mapping[str, Any]) -> FieldError:
    field = str(entry.get("key", "request"))
    if field == "data":
        return FieldError("body", "a JSON body is required")
    return FieldError(field, in_words(str(entry.get("message", "is invalid"))))


def _headers_of(exc: BaseException, kind: Kind) -> dict[str, str]:
    headers: dict[str, str] = {"cache-control": "no-store"}
    if isinstance(exc, NotNow | refusals.TryAgain):
        headers["retry-after"] = str(max(1, exc.retry_after_s))
    elif kind in (_OVERLOADED, _NOT_READY, _RATE_LIMITED):
        headers["retry-after"] = str(STORE_RETRY_AFTER_S)
    if kind is _UNAUTHENTICATED:
        # RFC 6750 section 3.1: a request without a token is not told about an invalid one.
        headers["www-authenticate"] = 'Bearer error="invalid_token"' if str(exc) else "Bearer"
    if isinstance(exc, http.MethodNotAllowedException) and exc.headers:
        headers["allow"] = allow_of(exc.headers.get("allow", "").split(", "))
    return headers


def _report(exc: BaseException, kind: Kind, problem: Problem) -> None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id is not None:
        problem.instance = f"urn:pintuan:request:{request_id}"
    if kind is _INTERNAL:
        _logger.error("request failed", exc_info=exc)
    elif isinstance(exc, NotReady):
        _logger.warning("not ready", detail=str(exc))
    elif not isinstance(exc, Rejected | refusals.GroupsError):
        # Without a traceback: an outage brings one of these for every request.
        _logger.error("store unavailable", error=repr(exc))


def problem_answer(exc: BaseException, request_id: str) -> tuple[int, bytes, bytes]:
    """Returns the status, header lines and body of the answer to a request that no layer has looked at."""
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        problem, headers = problem_of(exc)
    lines = {
        **headers,
        "content-type": MEDIA_TYPE,
        "x-request-id": request_id,
        "x-content-type-options": "nosniff",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return problem.status, head.encode("ascii"), _encoder.encode(problem)


def handle_exception(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """Litestar exception handler for every exception of every route."""
    problem, headers = problem_of(exc)
    if problem.code == _FORBIDDEN.code:
        _count_denied(request.scope.get("user"))
    return Response(
        content=_encoder.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
    )


def _count_denied(caller: Principal | None) -> None:
    """Counts known callers who lack permission: the first attempts with a stolen key look like this."""
    if caller is not None:
        DENIED.labels("api_key" if caller.api_key_id is not None else caller.role, _FORBIDDEN.code).inc()


async def send_problem(exc: Exception, send: Send) -> None:
    """Answers an ASGI request with the document for `exc`, without the cost of a framework response."""
    problem, headers = problem_of(exc)
    body = _encoder.encode(problem)
    raw_headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    raw_headers.append((b"content-type", MEDIA_TYPE.encode("ascii")))
    raw_headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": problem.status, "headers": raw_headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
