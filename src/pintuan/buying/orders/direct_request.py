"""Reads a placing call from its bytes, if it is plainly right; the ordinary route reads all others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pintuan.base.errors import Rejected
from pintuan.buying.orders.placing import BUYERS
from pintuan.buying.orders.schemas import NewOrder
from pintuan.buying.orders.service import hash_request, placement_of
from pintuan.http.bodies import BODY_SIZE_MAX, decode_body
from pintuan.http.cross_origin import ORIGIN
from pintuan.http.parameters import require_idempotency_key
from pintuan.http.request_ids import REQUEST_ID_HEADER, is_sane, new_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groups.placement import Placement, Verb
    from pintuan.base.auth.verifier import Verifier
    from pintuan.base.charging import GatewayRules

# More of them are nothing that a client of the API sends.
HEADERS_MAX: Final = 64


class _Kind(NamedTuple):
    """One of the four calls: its request to the engine, and its name in logs and metrics."""

    verb: Verb
    route: str


_KINDS: Final[dict[tuple[bytes, bytes], _Kind]] = {
    (b"deals", b"join"): _Kind("best", "/v1/deals/{deal_id}/join"),
    (b"deals", b"groups"): _Kind("open", "/v1/deals/{deal_id}/groups"),
    (b"deals", b"buy"): _Kind("solo", "/v1/deals/{deal_id}/buy"),
    (b"groups", b"join"): _Kind("group", "/v1/groups/{group_id}/join"),
}
# `/v1/deals/<id>/join`, split at its slashes.
_PART_COUNT: Final = 5
_JSON: Final = b"application/json"
_BEARER: Final = b"Bearer "
_AUTHORIZATION: Final = b"authorization"
_IDEMPOTENCY_KEY: Final = b"idempotency-key"
_CONTENT_TYPE: Final = b"content-type"
_READ: Final = frozenset({_AUTHORIZATION, _IDEMPOTENCY_KEY, _CONTENT_TYPE, REQUEST_ID_HEADER})
# One changes how the body is to be read, the other what a browser must be told; the route sees to both.
_UNUSUAL: Final = frozenset({b"content-encoding", ORIGIN})


class DirectRequest(msgspec.Struct, frozen=True):
    """A placing call; `came_at_s` is by `time.perf_counter`."""

    placement: Placement
    route: str
    request_id: str
    came_at_s: float


def read_request(
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    verifier: Verifier,
    rules: GatewayRules,
) -> DirectRequest | None:
    """Returns the call, or None when it is not plainly right or needs a wait before it can be placed.

    Names of `headers` are in lower case.
    """
    came_at_s = time.perf_counter()
    parts = target.split(b"/")
    kind = _KINDS.get((parts[2], parts[4])) if len(parts) == _PART_COUNT else None
    # An id that is written with escapes, or followed by a query, is for the router to take apart.
    if kind is None or b"%" in target or b"?" in target or not target.isascii() or len(body) > BODY_SIZE_MAX:
        return None
    read = _read_headers(headers)
    if read is None or read.get(_CONTENT_TYPE) != _JSON:
        return None
    try:
        buyer_id = _buyer_of(read.get(_AUTHORIZATION, b""), verifier)
        if buyer_id is None:
            return None
        key = require_idempotency_key(read.get(_IDEMPOTENCY_KEY, b"").decode("latin-1"))
        named = parts[3].decode("ascii")
        in_group = kind.verb == "group"
        order = decode_body(body, NewOrder)
        if order.offer_id is not None:
            return None
        placement = placement_of(
            buyer_id,
            order,
            rules,
            verb=kind.verb,
            request_id=hash_request(buyer_id, "POST", target.decode("ascii"), key),
            deal_id="" if in_group else named,
            group_id=named if in_group else None,
        )
    except Rejected:
        return None
    sent_id = read.get(REQUEST_ID_HEADER)
    request_id = sent_id.decode("ascii") if sent_id is not None and is_sane(sent_id) else new_request_id()
    return DirectRequest(placement, kind.route, request_id, came_at_s)


def _read_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """Returns the headers that matter, by name; None when one of them comes twice or there are too many."""
    if len(headers) > HEADERS_MAX:
        return None
    read: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in read:
                return None
            read[name] = value
        elif name in _UNUSUAL:
            return None
    return read


def _buyer_of(authorization: bytes, verifier: Verifier) -> str | None:
    """Returns the buyer who calls; None when that cannot be told at once, or it is somebody else who does.

    Raises Unauthenticated for a token that does not verify or is refused by now.
    """
    if not authorization.startswith(_BEARER):
        return None
    credential = authorization[len(_BEARER) :].strip().decode("latin-1")
    principal = verifier.recall(credential) or verifier.verify_own(credential)
    return principal.subject if principal is not None and principal.role in BUYERS else None
