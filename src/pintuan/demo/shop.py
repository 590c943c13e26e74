"""The calls that merchants and shoppers make, typed, each with a deadline and a bounded number of tries.

A call that carries an idempotency key, or only reads, is repeated after a lost answer: that is what the keys
are for. The others are repeated only when the answer says that nothing was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import msgspec

from pintuan.catalog.schemas import Product
from pintuan.deals.schemas import Deal, NewDeal
from pintuan.demo.errors import Refusal, ShopError
from pintuan.groups.schemas import Group, Order
from pintuan.orders.schemas import NewOrder

if TYPE_CHECKING:
    from pintuan.auth import Role

CALL_TIMEOUT_S: Final = 10.0
TRIES_MAX: Final = 5
RETRY_PAUSE_S: Final = 0.3
RETRY_PAUSE_S_MAX: Final = 2.0
PAGE_SIZE: Final = 100
PAGES_MAX: Final = 20
CONNECTIONS_MAX: Final = 24

_REPEATABLE_STATUSES: Final = frozenset({429, 503})
_REPEATABLE_CODE: Final = "idempotency_in_flight"

T = TypeVar("T")


class _ProductPage(msgspec.Struct):
    """A page of a list, declared here because `pintuan.pagination` would import the whole web framework."""

    items: list[Product]
    next_cursor: str | None


class _Problem(msgspec.Struct):
    """What we need of a problem document."""

    code: str = "unknown"
    detail: str = ""


class Shop:
    """A marketplace's API at `client.base_url`, called with the tokens of a cast."""

    def __init__(self, client: httpx.AsyncClient, tokens: Mapping[tuple[Role, str], str]) -> None:
        self._client = client
        self._tokens = tokens

    async def products_of(self, merchant: str, count: int) -> list[Product]:
        """Returns the `count` products of a merchant; raises ShopError when fewer are there."""
        found: list[Product] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            place = f"&cursor={cursor}" if cursor else ""
            page = await self._call("GET", f"/v1/products?limit={PAGE_SIZE}{place}", _ProductPage)
            found += [product for product in page.items if product.merchant_id == merchant]
            cursor = page.next_cursor
            if len(found) >= count or cursor is None:
                break
        if len(found) < count:
            raise ShopError(
                f"{self._client.base_url} does not show the products just imported; "
                "is PINTUAN_DATABASE_URL the database behind it?"
            )
        return found

    async def offer(self, merchant: str, deal: NewDeal) -> Deal:
        """Puts a variant on a deal."""
        return await self._call("POST", "/v1/deals", Deal, caller=("merchant", merchant), body=deal)

    async def open_group(self, deal_id: str, buyer: str, order: NewOrder, key: str) -> Order:
        """Opens a group of the deal with the buyer in it."""
        return await self._place(f"/v1/deals/{deal_id}/groups", buyer, order, key)

    async def join_deal(self, deal_id: str, buyer: str, order: NewOrder, key: str) -> Order:
        """Lets the marketplace choose the group."""
        return await self._place(f"/v1/deals/{deal_id}/join", buyer, order, key)

    async def join_group(self, group_id: str, buyer: str, order: NewOrder, key: str) -> Order:
        """Joins this group only."""
        return await self._place(f"/v1/groups/{group_id}/join", buyer, order, key)

    async def buy(self, deal_id: str, buyer: str, order: NewOrder, key: str) -> Order:
        """Buys without a group."""
        return await self._place(f"/v1/deals/{deal_id}/buy", buyer, order, key)

    async def cancel(self, order_id: str, buyer: str, key: str) -> Order:
        """Cancels the buyer's order."""
        path = f"/v1/orders/{order_id}/cancel"
        return await self._call("POST", path, Order, caller=("buyer", buyer), key=key)

    async def shared_group(self, share_code: str) -> Group:
        """Returns the group behind a link, as anybody sees it."""
        return await self._call("GET", f"/v1/share/{share_code}", Group)

    async def group(self, group_id: str) -> Group:
        """Returns the group, as anybody sees it."""
        return await self._call("GET", f"/v1/groups/{group_id}", Group)

    async def order(self, order_id: str, buyer: str) -> Order:
        """Returns the buyer's order with its group."""
        return await self._call("GET", f"/v1/orders/{order_id}", Order, caller=("buyer", buyer))

    async def _place(self, path: str, buyer: str, order: NewOrder, key: str) -> Order:
        return await self._call("POST", path, Order, caller=("buyer", buyer), body=order, key=key)

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        caller: tuple[Role, str] | None = None,
        body: msgspec.Struct | None = None,
        key: str | None = None,
    ) -> T:
        """Returns the decoded answer.

        Raises Refusal for a problem the caller has to live with, and ShopError when no answer came in
        `TRIES_MAX` tries or the answer is not what the contract says.
        """
        headers = self._headers_of(caller, key)
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        for attempt in range(1, TRIES_MAX + 1):
            try:
                response = await self._client.request(method, path, content=content, headers=headers)
            except httpx.TransportError as error:
                reason = f"{method} {path} had no answer: {error or type(error).__name__}"
                if attempt == TRIES_MAX or (method != "GET" and key is None):
                    raise ShopError(reason) from error
                await asyncio.sleep(RETRY_PAUSE_S * attempt)
                continue
            if response.is_success:
                return _decode(response, answer)
            problem = _problem_of(response)
            again = response.status_code in _REPEATABLE_STATUSES or problem.code == _REPEATABLE_CODE
            if attempt == TRIES_MAX or not again:
                raise _error_of(response, problem)
            await asyncio.sleep(_pause_s(response, attempt))
        raise AssertionError("the last try returns or raises")

    def _headers_of(self, caller: tuple[Role, str] | None, key: str | None) -> dict[str, str]:
        headers: dict[str, str] = {}
        if caller is not None:
            headers["Authorization"] = f"Bearer {self._tokens[caller]}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return headers


def _decode(response: httpx.Response, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ShopError(f"{response.url.path} answered against the contract: {error}") from error


def _problem_of(response: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(response.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A proxy in between, or a process that died, answers in its own words.
        return _Problem(detail=response.reason_phrase)


def _error_of(response: httpx.Response, problem: _Problem) -> Refusal | ShopError:
    if response.is_server_error or problem.code == "unknown":
        return ShopError(f"{response.url.path} answered {response.status_code}: {problem.detail}")
    return Refusal(problem.code, problem.detail)


def _pause_s(response: httpx.Response, attempt: int) -> float:
    asked = response.headers.get("retry-after", "")
    wanted_s = float(asked) if asked.isdecimal() else RETRY_PAUSE_S * attempt
    return min(wanted_s, RETRY_PAUSE_S_MAX)


def open_client(url: str) -> httpx.AsyncClient:
    """Returns a client for the API at `url`; proxies set for the world outside are not asked."""
    return httpx.AsyncClient(
        base_url=url,
        timeout=CALL_TIMEOUT_S,
        trust_env=False,
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
    )
