"""The client itself: every call of the contract, and how it is opened."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from pintuan.client.books import BooksCalls
from pintuan.client.deals import DealCalls
from pintuan.client.groups import GroupCalls
from pintuan.client.identity import IdentityCalls
from pintuan.client.invites import InviteCalls
from pintuan.client.merchants import MerchantCalls
from pintuan.client.operator import OperatorCalls
from pintuan.client.orders import OrderCalls
from pintuan.client.products import ProductCalls
from pintuan.client.session import Session
from pintuan.client.transport import CALL_TIMEOUT_S, CONNECTIONS_MAX, DEADLINE_S, Transport
from pintuan.client.webhooks import WebhookCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Pintuan(
    ProductCalls,
    DealCalls,
    GroupCalls,
    OrderCalls,
    IdentityCalls,
    MerchantCalls,
    BooksCalls,
    WebhookCalls,
    InviteCalls,
    OperatorCalls,
):
    """A marketplace as one caller sees it; methods are called as the operations of the contract.

    Each raises ProblemError, NoAnswer or BadAnswer (see `pintuan.client.errors`) instead of returning.
    """

    @property
    def url(self) -> str:
        """Where the marketplace is."""
        return str(self.session.transport.client.base_url)

    def calling_as(self, token: str | None, *, refresh_token: str | None = None) -> Pintuan:
        """Returns the marketplace as somebody else sees it, over the same connections."""
        return Pintuan(Session(self.session.transport, token=token, refresh_token=refresh_token))


@asynccontextmanager
async def open_client(
    url: str,
    *,
    token: str | None = None,
    refresh_token: str | None = None,
    deadline_s: float = DEADLINE_S,
    connections_max: int = CONNECTIONS_MAX,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Pintuan]:
    """Opens a client of the marketplace at `url` for the life of the block.

    `token` is an access token or an API key; with `refresh_token` alone the first call gets one. `deadline_s`
    bounds a call with all its tries. `transport` takes the place of the network. Proxies of the environment
    are not asked.
    """
    limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
    async with httpx.AsyncClient(
        base_url=url, timeout=CALL_TIMEOUT_S, trust_env=False, limits=limits, transport=transport
    ) as client:
        yield Pintuan(
            Session(Transport(client, deadline_s=deadline_s), token=token, refresh_token=refresh_token)
        )
