"""`/v1/groups/{id}/events`: a group's progress as server-sent events, open to everybody.

Thousands of responses stay open at once, and each should cost little more than its connection. The handler
answers with an ASGI application of ours, which keeps only the request of the framework's objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from pintuan.buying.live.metrics import EVENT_STREAMS_DROPPED
from pintuan.buying.live.state import Live
from pintuan.buying.live.stream import Stream
from pintuan.http.client_address import limit_key_of
from pintuan.http.parameters import InjectedResources

if TYPE_CHECKING:
    from pintuan.base.auth import Principal

MEDIA_TYPE: Final = "text/event-stream"
NO_CONTENT: Final = 204
_NO_STORE: Final = (b"cache-control", b"no-store")

LastEventIdParameter = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="`id` of the event received last; a browser sends it by itself when it connects again.",
        required=False,
    ),
]
LastEventIdInQuery = Annotated[
    str | None,
    QueryParameter(
        name="lastEventId",
        description="The same, for an EventSource that is new or cannot set a header; the header wins.",
        required=False,
    ),
]


class FollowedGroup:
    """An ASGI application: one response that follows a group."""

    __slots__ = ("_group_id", "_last_event_id", "_live")

    def __init__(self, live: Live, group_id: str, last_event_id: str | None) -> None:
        self._live = live
        self._group_id = group_id
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the group's state at once and at every change, until it has ended or the reader has gone.

        Raises NotFound, Overloaded or RateLimited before the response begins.
        """
        live = self._live
        caller: Principal | None = scope["user"]
        caller_key = None if caller is None else f"{caller.role} {caller.subject}"
        with live.admission.stream(limit_key_of(scope), caller_key):
            snapshot = await live.hub.look(self._group_id)
            if snapshot.ended and self._last_event_id == snapshot.tag:
                # The status that tells an EventSource not to connect again (WHATWG HTML section 9.2.1).
                await send({"type": "http.response.start", "status": NO_CONTENT, "headers": [_NO_STORE]})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            stream = Stream(send)
            with live.hub.watching(self._group_id, stream, snapshot):
                await stream.until_gone(receive)
            if stream.slow:
                EVENT_STREAMS_DROPPED.labels("slow").inc()
                # It is not shown anything any more, and keeps its place until it is gone.
                await stream.linger()
            elif stream.drained:
                EVENT_STREAMS_DROPPED.labels("drained").inc()


class GroupEvents(Response[str]):
    """The handler's answer, for the framework to turn into the application above."""

    def __init__(self, followed: FollowedGroup) -> None:
        super().__init__("", media_type=MEDIA_TYPE)
        self._followed = followed

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Returns the application; that is all the framework needs."""
        return cast("ASGIResponse", self._followed)


@get(
    "/v1/groups/{group_id:str}/events",
    tags=["groups"],
    summary="Follow a group",
    media_type=MEDIA_TYPE,
    responses={
        NO_CONTENT: ResponseSpec(
            None, description="The group has ended, and `Last-Event-ID` names the state it ended in."
        ),
    },
)
async def watch_group(
    group_id: FromPath[str],
    resources: InjectedResources,
    last_event_id: LastEventIdParameter = None,
    last_event_id_in_query: LastEventIdInQuery = None,
) -> Response[str]:
    """Server-sent events: `event: group` with the whole group as `GET /v1/groups/{id}` answers it.

    The first event comes at once and one at every change, at most four a second; `my_order` is null.
    Comments in between keep the connection open. The response ends after `succeeded` or `failed`. A client
    that connects again gets the latest state.
    """
    last = last_event_id_in_query if last_event_id is None else last_event_id
    return GroupEvents(FollowedGroup(resources.state(Live), group_id, last))


HANDLERS: Final = [watch_group]
