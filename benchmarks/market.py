"""Who buys and what: a merchant's deals, buyers' tokens, and calls as they go over the wire."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import httpx

from benchmarks.baselines import GROUP_SEATS, HELLO_PATH, NAIVE_PATH, STOCK_UNITS
from pintuan.base.auth.tokens import TokenIssuer
from pintuan.base.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.environment import Servers

BODY: Final = b'{"quantity":1,"payment_method":"pm_ok"}'
MERCHANT: Final = "bench-merchant"
CALL_TIMEOUT_S: Final = 20.0
GROUP_TTL_S: Final = 6 * 3600


@dataclass(frozen=True, slots=True)
class Market:
    """One merchant's variant, on which deals are offered, and everybody's tokens."""

    http: httpx.AsyncClient
    issuer: TokenIssuer
    merchant_token: str
    variant_id: str

    def tokens(self, prefix: str, count: int) -> list[str]:
        """Returns tokens of `count` buyers, `<prefix>-0` and so on; they are good for 15 minutes."""
        now_s = time.time()
        return [self.issuer.issue(f"{prefix}-{number}", "buyer", now_s=now_s) for number in range(count)]

    def deal_terms(self, **terms: Any) -> dict[str, Any]:
        """Returns the body that puts a deal on sale, with `terms` over the usual ones."""
        return {
            "variant_id": self.variant_id,
            "ladder": [
                {"headcount": 2, "unit_price": 900},
                {"headcount": terms.get("max_headcount", GROUP_SEATS), "unit_price": 700},
            ],
            "min_headcount": 2,
            "max_headcount": GROUP_SEATS,
            "group_ttl_seconds": GROUP_TTL_S,
            "stock": STOCK_UNITS,
            "per_buyer_units": 1,
            **terms,
        }

    async def new_deal(self, **terms: Any) -> str:
        """Puts a deal on sale, with `terms` over the usual ones; returns its id. Raises HTTPStatusError."""
        body = self.deal_terms(**terms)
        return str((await self.call("POST", "/v1/deals", token=self.merchant_token, body=body))["id"])

    async def new_group(self, deal_id: str, token: str) -> str:
        """Opens a group; returns its id. Raises HTTPStatusError."""
        order = await self.call(
            "POST", f"/v1/deals/{deal_id}/groups", token=token, body={"payment_method": "pm_ok"}, key="open"
        )
        return str(order["group_id"])

    async def call(
        self, method: str, path: str, *, token: str, body: object = None, key: str = "bench"
    ) -> dict[str, Any]:
        """Makes one call and returns its body. Raises HTTPStatusError."""
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        response = await self.http.request(method, path, json=body, headers=headers)
        decoded: dict[str, Any] = response.raise_for_status().json()
        return decoded


async def open_market(servers: Servers, http: httpx.AsyncClient, merchant: str = MERCHANT) -> Market:
    """Registers a merchant's product at `servers`, which `http` calls. Raises HTTPStatusError."""
    issuer = TokenIssuer(Keyring(servers.stores.secret_key))
    token = issuer.issue(merchant, "merchant", now_s=time.time())
    market = Market(http, issuer, token, "")
    variant = {"sku": "TEA-1", "title": "Tea", "list_price": {"amount": 1000, "currency": "USD"}}
    product = await market.call(
        "POST", "/v1/products", token=token, body={"title": "Tea", "variants": [variant]}
    )
    return Market(http, issuer, token, product["variants"][0]["id"])


def client_of(servers: Servers) -> httpx.AsyncClient:
    """Returns a client for what a scenario prepares; the caller closes it."""
    return httpx.AsyncClient(base_url=servers.url, timeout=CALL_TIMEOUT_S, trust_env=False)


def request_bytes(
    method: str, path: str, *, token: str | None = None, key: str | None = None, body: bytes = b""
) -> bytes:
    """Returns one call as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def joins(deal_ids: Sequence[str], tokens: Iterable[str]) -> list[bytes]:
    """Returns a join of each buyer; deals take turns."""
    return _in_turn([f"/v1/deals/{deal_id}/join" for deal_id in deal_ids], tokens)


def group_openings(deal_ids: Sequence[str], tokens: Iterable[str]) -> list[bytes]:
    """Returns the opening of a group by each buyer; deals take turns."""
    return _in_turn([f"/v1/deals/{deal_id}/groups" for deal_id in deal_ids], tokens)


def group_joins(group_ids: Sequence[str], tokens: Iterable[str]) -> list[bytes]:
    """Returns a join by link of each buyer; groups take turns."""
    return _in_turn([f"/v1/groups/{group_id}/join" for group_id in group_ids], tokens)


def naive_joins(deal_id: str, tokens: Iterable[str]) -> list[bytes]:
    """Returns a join of each buyer in the naive design."""
    return _in_turn([NAIVE_PATH.format(deal_id=deal_id)], tokens)


def hellos() -> list[bytes]:
    """Returns the one call to the hello route; nobody is named in it, which makes the route only cheaper."""
    return [request_bytes("POST", HELLO_PATH, body=BODY)]


def greetings(tokens: Iterable[str]) -> list[bytes]:
    """Returns a call of each buyer that does nothing but show the token, as a look at a deal would."""
    return [request_bytes("POST", HELLO_PATH, token=token, body=BODY) for token in tokens]


def _in_turn(paths: Sequence[str], tokens: Iterable[str]) -> list[bytes]:
    """Returns one order of each buyer; each key is a random one, as an app would make it."""
    return [
        request_bytes("POST", paths[number % len(paths)], token=token, key=str(uuid4()), body=BODY)
        for number, token in enumerate(tokens)
    ]
