"""One attempt to deliver a message: a fresh connection to a checked address, one POST, and its status.

Every attempt resolves and checks anew, and keeps no connection: a safe address may have become unsafe. No
redirect is followed, no proxy asked, no cookie kept. Only the status of the answer is ever shown, so that
nothing can be read through us.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import httpcore
import httpx

from pintuan.base.outgoing.addresses import DestinationRefused, UnknownHost, addresses_of, destination_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pintuan.base.outgoing.addresses import Address, Destination, Resolver

ATTEMPT_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 4.0
# Reading a little of the answer lets a server end it in peace; more is of no use to us.
ANSWER_BYTES_MAX: Final = 4096
ANSWER_WAIT_S: Final = 1.0
ADDRESSES_TRIED_MAX: Final = 3
_TIMEOUTS: Final = {"connect": CONNECT_TIMEOUT_S, "read": ATTEMPT_TIMEOUT_S, "write": ATTEMPT_TIMEOUT_S}
_HEADERS: Final = (("content-type", "application/json"), ("user-agent", "pintuan-webhooks/1"))


class SendFailed(Exception):
    """No answer came; `reason` says why, in words a merchant may read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sender:
    """Posts messages to merchants' endpoints."""

    def __init__(
        self, resolver: Resolver, *, allows_loopback: bool, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Trusts the certificates that browsers do, or those of `ssl_context`."""
        self._resolver = resolver
        self._allows_loopback = allows_loopback
        self._ssl_context = ssl_context or httpx.create_ssl_context(trust_env=False)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Posts the body and returns the status of the answer, within `ATTEMPT_TIMEOUT_S`.

        Raises:
            SendFailed: there was none, or the URL may not be called.
        """
        try:
            destination = destination_of(url, allows_loopback=self._allows_loopback)
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                addresses = await addresses_of(
                    destination, self._resolver, allows_loopback=self._allows_loopback
                )
                return await self._exchange(destination, addresses, headers, body)
        except DestinationRefused as refused:
            raise SendFailed(f"the URL {refused}") from refused
        except UnknownHost as unknown:
            raise SendFailed(str(unknown)) from unknown
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise SendFailed("no answer in time") from error
        except ssl.SSLError as error:
            raise SendFailed("the TLS certificate or handshake is not in order") from error
        except (httpcore.NetworkError, OSError) as error:
            raise SendFailed(_network_reason(error)) from error
        except httpcore.ProtocolError as error:
            raise SendFailed("the answer is not HTTP") from error

    async def _exchange(
        self,
        destination: Destination,
        addresses: Sequence[Address],
        headers: Mapping[str, str],
        body: bytes,
    ) -> int:
        url = httpcore.URL(
            scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target
        )
        fields = [("host", destination.authority), ("connection", "close"), *_HEADERS, *headers.items()]
        async with (
            httpcore.AsyncHTTPConnection(
                url.origin,
                ssl_context=self._ssl_context,
                network_backend=_CheckedAddresses(addresses),
            ) as connection,
            connection.stream(
                "POST", url, headers=fields, content=body, extensions={"timeout": _TIMEOUTS}
            ) as answer,
        ):
            # The status is what counts; how an answer goes on after it is the merchant's own affair.
            with suppress(TimeoutError, httpcore.ReadError, httpcore.ReadTimeout, httpcore.ProtocolError):
                async with asyncio.timeout(ANSWER_WAIT_S):
                    await _read_some(answer)
            return answer.status


class _CheckedAddresses(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses, whatever the host is called; TLS still asks for the name."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name was resolved already, and must not be again.
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface.
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Returns a connection to the first address that takes one; raises the last one's failure."""
        *others, last = self._addresses[:ADDRESSES_TRIED_MAX]
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
        return await self._network.connect_tcp(str(last), port, timeout, local_address, socket_options)


async def _read_some(answer: httpcore.Response) -> None:
    count = 0
    async for chunk in answer.aiter_stream():
        count += len(chunk)
        if count >= ANSWER_BYTES_MAX:
            return


def _network_reason(error: BaseException) -> str:
    """Names the failure without the system's words, which hold addresses."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "the TLS certificate or handshake is not in order"
        cause = cause.__cause__ or cause.__context__
    return "no connection" if isinstance(error, httpcore.ConnectError) else "the connection broke"
