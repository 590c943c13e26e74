"""`/v1/groups/{id}/events`: a group's progress as server-sent events, open to everybody.

The handler is bare ASGI, because thousands of responses stay open at once and each should cost little more
than its connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import asgi, get
from litestar.exceptions import MethodNotAllowedException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter
from litestar.types import Receive, Scope, Send

from pintuan.client_address import limit_key_of
from pintuan.live.stream import Stream
from pintuan.metrics import EVENT_STREAMS_DROPPED

if TYPE_CHECKING:
    from pintuan.auth import Principal
    from pintuan.live.service import Live

PATH: Final = "/v1/groups/{group_id:str}/events"
NO_CONTENT: Final = 204
_LAST_EVENT_ID: Final = b"last-event-id"
_NO_STORE: Final = (b"cache-control", b"no-store")

LastEventIdParameter = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="`id` of the event received last; a browser sends it by itself when it connects again.",
        required=False,
    ),
]


@asgi(PATH, copy_scope=False)
async def watch_group(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the group's state at once and at every change, until it has ended or the reader has gone.

    Raises MethodNotAllowedException, NotFound, Overloaded or RateLimited before the response begins.
    """
    if scope["method"] != "GET":
        raise MethodNotAllowedException(headers={"allow": "GET, HEAD"})
    live: Live = scope["litestar_app"].state.live
    caller: Principal | None = scope["user"]
    caller_key = None if caller is None else f"{caller.role} {caller.subject}"
    group_id = str(scope["path_params"]["group_id"])
    with live.admission.stream(limit_key_of(scope), caller_key):
        snapshot = await live.hub.look(group_id)
        if snapshot.ended and _last_event_id_of(scope) == snapshot.tag.encode("ascii"):
            # What tells an EventSource not to connect again (WHATWG HTML section 9.2.1).
            await send({"type": "http.response.start", "status": NO_CONTENT, "headers": [_NO_STORE]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        stream = Stream(send)
        with live.hub.watching(group_id, stream):
            stream.show(snapshot)
            await stream.until_gone(receive)
        if stream.slow:
            EVENT_STREAMS_DROPPED.labels("slow").inc()
        elif stream.drained:
            EVENT_STREAMS_DROPPED.labels("drained").inc()


def _last_event_id_of(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == _LAST_EVENT_ID:
            return value
    return None


@get(
    PATH,
    tags=["groups"],
    summary="Follow a group",
    media_type="text/event-stream",
    responses={
        NO_CONTENT: ResponseSpec(
            None, description="The group has ended, and `Last-Event-ID` names the state it ended in."
        )
    },
)
async def describe_watch_group(group_id: FromPath[str], last_event_id: LastEventIdParameter = None) -> str:
    """Server-sent events: `event: group` with the whole group as `GET /v1/groups/{id}` answers it.

    The first event comes at once and one at every change, at most four a second; `my_order` is null.
    Comments in between keep the connection open. The response ends after `succeeded` or `failed`. Whoever
    connects again gets the latest state.
    """
    raise NotImplementedError(group_id, last_event_id)


ROUTES: Final = [watch_group]
DOCUMENTED: Final = [describe_watch_group]
