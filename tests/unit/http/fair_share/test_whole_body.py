"""A call asks for a place once its body is here, so that a slow sender keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pintuan.base.stores.shares import Share
from pintuan.http.bodies import BODY_SIZE_MAX
from pintuan.http.fair_share.call_class import CallClass
from pintuan.http.fair_share.layer import FairShare
from pintuan.http.fair_share.limits import Places

if TYPE_CHECKING:
    from litestar.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

PATHS = {
    CallClass.ACCOUNTS: ("POST", "/v1/auth/otp"),
    CallClass.PLACING: ("POST", "/v1/groups/grp_1/join"),
    CallClass.MERCHANTS: ("PATCH", "/v1/deals/deal_1"),
    CallClass.GATEWAY: ("POST", "/v1/payments/webhooks/stripe"),
}


class App:
    """Reads the body of each call, as handlers do, and answers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        self.begun += 1
        body, more = b"", True
        while more and len(body) <= BODY_SIZE_MAX:
            message: Any = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Sender:
    """A client whose body comes in pieces, each when it is told to."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[Any] = asyncio.Queue()

    def send(self, body: bytes, *, more: bool) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def receive(self) -> Any:
        return await self.pieces.get()


def call(layer: FairShare, of: CallClass, sender: Sender) -> asyncio.Task[None]:
    method, path = PATHS[of]
    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("192.0.2.1", 1),
        "headers": [],
    }

    async def send(message: Message) -> None:
        """Nobody looks at the answer."""

    return asyncio.create_task(layer(scope, sender.receive, send))


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def layer(app: App) -> FairShare:
    return FairShare(app, lambda: False, places={of: Places(1, Share.PLACING) for of in PATHS})


@pytest.mark.parametrize("of", PATHS, ids=str)
async def test_a_body_that_trickles_holds_no_place(layer: FairShare, app: App, of: CallClass) -> None:
    slow, quick = Sender(), Sender()
    slow.send(b"{", more=True)
    waiting = call(layer, of, slow)
    quick.send(b"{}", more=False)

    await call(layer, of, quick)
    assert app.bodies == [b"{}"]

    slow.send(b" }", more=False)
    await waiting
    assert app.bodies == [b"{}", b"{ }"]


async def test_a_body_above_every_bound_is_handed_over_before_its_end(layer: FairShare, app: App) -> None:
    sender = Sender()
    sender.send(b"x" * (BODY_SIZE_MAX + 1), more=True)

    await call(layer, CallClass.ACCOUNTS, sender)

    assert [len(body) for body in app.bodies] == [BODY_SIZE_MAX + 1]


async def test_who_hangs_up_amid_the_body_holds_no_place(layer: FairShare, app: App) -> None:
    sender = Sender()
    sender.send(b"{", more=True)
    sender.pieces.put_nowait({"type": "http.disconnect"})

    await call(layer, CallClass.ACCOUNTS, sender)
    after = Sender()
    after.send(b"{}", more=False)
    await call(layer, CallClass.ACCOUNTS, after)

    assert app.bodies[-1] == b"{}"
