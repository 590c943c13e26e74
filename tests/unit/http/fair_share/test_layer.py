"""When a place is held, and what is told to whoever gets none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pintuan.base.stores.shares import Share
from pintuan.http.fair_share import waiting_room
from pintuan.http.fair_share.call_class import CallClass
from pintuan.http.fair_share.layer import CLASS_KEY, FairShare
from pintuan.http.fair_share.limits import CONNECTIONS, PLACES, Places

if TYPE_CHECKING:
    from litestar.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


class App:
    """Begins its answer when told to, ends it when told to, and counts how many calls it works on."""

    def __init__(self) -> None:
        self.begins, self.ends = asyncio.Event(), asyncio.Event()
        self.working = 0
        self.worked_most = 0
        self.classes: list[CallClass] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        self.classes.append(dict(scope)[CLASS_KEY])  # type: ignore[arg-type]
        self.working += 1
        self.worked_most = max(self.worked_most, self.working)
        await self.begins.wait()
        self.working -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await self.ends.wait()


async def call(
    layer: FairShare, path: str, address: str = "192.0.2.1", *, send: Send | None = None
) -> list[Message]:
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "client": (address, 1),
        "headers": [],
    }
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    await layer(scope, receive, send or keep)
    return sent


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("joins_are_placed", [False, True])
async def test_as_many_calls_are_worked_on_as_the_class_has_places(joins_are_placed: bool) -> None:
    app = App()
    layer = FairShare(app, lambda: joins_are_placed)
    calls = [asyncio.create_task(call(layer, "/v1/orders")) for _ in range(64)]
    await turns()
    assert app.working == PLACES[CallClass.READS].count
    app.begins.set()
    app.ends.set()
    answers = await asyncio.gather(*calls)

    assert app.worked_most == PLACES[CallClass.READS].count
    assert all(answer[0]["status"] == 200 for answer in answers)  # type: ignore[typeddict-item]
    assert set(app.classes) == {CallClass.READS}


async def test_a_class_that_is_full_keeps_no_other_waiting() -> None:
    app = App()
    layer = FairShare(app, lambda: False)
    calls = [asyncio.create_task(call(layer, "/v1/orders")) for _ in range(64)]
    await turns()
    before = app.working
    calls.append(asyncio.create_task(call(layer, "/health/live")))
    await turns()
    assert app.working == before + 1
    app.begins.set()
    app.ends.set()
    await asyncio.gather(*calls)


async def test_a_stream_holds_its_place_until_it_begins_and_an_export_until_it_ends() -> None:
    app = App()
    app.begins.set()
    layer = FairShare(app, lambda: False)
    streams = [asyncio.create_task(call(layer, "/v1/groups/g/events")) for _ in range(8)]
    exports = [asyncio.create_task(call(layer, "/v1/me/export")) for _ in range(8)]
    await turns()
    assert app.classes.count(CallClass.STREAMS) == 8
    assert app.classes.count(CallClass.EXPORTS) == PLACES[CallClass.EXPORTS].count
    app.ends.set()
    await asyncio.gather(*streams, *exports)


async def test_many_streams_wait_for_their_first_state_together() -> None:
    app = App()
    layer = FairShare(app, lambda: False)
    streams = [asyncio.create_task(call(layer, "/v1/groups/g/events")) for _ in range(40)]
    await turns()
    assert app.classes.count(CallClass.STREAMS) == 40
    app.begins.set()
    app.ends.set()
    await asyncio.gather(*streams)


async def test_whoever_gets_no_place_is_told_when_to_come_again() -> None:
    app = App()
    layer = FairShare(app, lambda: False, places={CallClass.READS: Places(1, Share.READS)})
    layer.rooms[CallClass.READS] = waiting_room.WaitingRoom(1, waiting_max=2, waiting_per_address_max=1)
    calls = [asyncio.create_task(call(layer, "/v1/orders")) for _ in range(2)]
    await turns()
    crowd = await call(layer, "/v1/orders")
    calls.append(asyncio.create_task(call(layer, "/v1/orders", "192.0.2.2")))
    await turns()
    late = await call(layer, "/v1/orders", "192.0.2.3")
    app.begins.set()
    app.ends.set()
    await asyncio.gather(*calls)

    for answer, status in ((crowd, 429), (late, 503)):
        start = answer[0]
        assert start["type"] == "http.response.start"
        assert start["status"] == status
        assert int(dict(start["headers"])[b"retry-after"]) >= 1


def test_every_class_has_places_and_its_places_have_connections() -> None:
    assert set(PLACES) == set(CallClass)
    assert all(CONNECTIONS[places.share] >= 1 for places in PLACES.values())
    assert Share.RECORDING not in {places.share for places in PLACES.values()}


async def test_a_client_that_takes_nothing_holds_no_place() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def never(message: Message) -> None:  # noqa: ARG001 - ASGI
        await asyncio.Event().wait()

    layer = FairShare(answer, lambda: False, places={CallClass.READS: Places(1, Share.READS)})
    stuck = asyncio.create_task(call(layer, "/v1/orders", send=never))
    await turns()

    answered = await asyncio.wait_for(call(layer, "/v1/orders"), timeout=5)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)

    assert [message["type"] for message in answered] == ["http.response.start", "http.response.body"]
