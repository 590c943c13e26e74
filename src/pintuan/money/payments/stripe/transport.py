"""The way of requests to Stripe: httpx under Stripe's library, with a deadline and no repeats of its own.

A request that certainly never left raises GatewayUnavailable, every other failure of the network
GatewayTimeout: Stripe may have carried it out (docs.stripe.com/error-low-level, network errors).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import stripe

from pintuan.money.payments.gateway import CALL_DEADLINE_S, GatewayTimeout, GatewayUnavailable
from pintuan.money.payments.stripe.rules import CALLS_AT_ONCE_MAX

CONNECT_S_MAX: Final = 2.0
CONNECTION_WAIT_S_MAX: Final = 1.0
# One for every call on its way, and one more for each call that looks up two things at once.
CONNECTIONS_MAX: Final = 2 * CALLS_AT_ONCE_MAX

_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class StripeTransport(stripe.HTTPClient):
    """The one client that the library sends with; `close_async` ends it."""

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(CALL_DEADLINE_S, connect=CONNECT_S_MAX, pool=CONNECTION_WAIT_S_MAX),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Sends one request; returns body, status and headers of the answer.

        Raises:
            GatewayUnavailable: it was not sent.
            GatewayTimeout: it was sent, and no answer came.
        """
        try:
            response = await self._client.request(method, url, headers=dict(headers), content=post_data)
        except _NEVER_SENT as error:
            raise GatewayUnavailable(f"Stripe cannot be reached: {error!r}") from error
        except httpx.HTTPError as error:
            raise GatewayTimeout(f"Stripe did not answer: {error!r}") from error
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        """Closes the connections."""
        await self._client.aclose()
