"""What the owners have, with a mark on everything that nobody else may read, and what callers call with."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from tests.acceptance.authorisation.access import MERCHANT
from tests.acceptance.authorisation.identities import Tokens
from tests.acceptance.shoppers import ORDER, placed
from tests.acceptance.signing_in import ask_for_code, header_of, sign_in
from tests.market import Market
from tests.waiting import until

# The name that `Market` sells under.
SHOP: Final = "acme"
SELLER: Final = frozenset({*MERCHANT, "admin"})
BUYER: Final = frozenset({"buyer"})
NOBODY: Final[frozenset[str]] = frozenset()

EMAIL: Final = "ann.marked@example.com"
FRIEND: Final = "friend.marked@example.com"
STREET: Final = "7 Marked Street"
CARD: Final = "card-marked"
REASON: Final = "scratched, says the marked note"
KEY_NAME: Final = "marked stock sync"
HOOK: Final = "https://127.0.0.1:1024/marked-hook"
HOOK_NOTE: Final = "marked fulfilment"
FELLOW: Final = "mia-marked"
FELLOW_STREET: Final = "9 Marked Lane"


@dataclass
class World:
    """A merchant, a buyer, a fellow member and others; `ids` are of the owners' objects, by parameter."""

    api: httpx.AsyncClient
    market: Market
    tokens: Tokens
    turns: asyncio.Semaphore
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    marks: dict[str, frozenset[str]] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def bearer(self, credential: str) -> dict[str, str]:
        """How a credential is sent."""
        return {"Authorization": f"Bearer {credential}"}

    async def post(self, path: str, who: str, body: object = None) -> dict[str, Any]:
        """Makes a call that must succeed."""
        response = await self.api.post(path, json=body, headers=self.headers[who] | self.key())
        assert response.is_success, response.text
        made: dict[str, Any] = response.json()
        return made

    def key(self) -> dict[str, str]:
        """An idempotency key that was not used before."""
        return {"Idempotency-Key": f"key-{next(self.numbers)}"}

    async def pay(self) -> None:
        """Does what workers do about payments that are due."""
        pool = self.market.pool
        await PaymentExecutor(pool, SandboxGateway(pool), on_recorded=lambda _: None).drain()

    async def fresh_deal(self) -> str:
        """A deal that nobody has bought of."""
        return await self.market.deal(stock=1_000)

    async def paused_deal(self) -> str:
        """One that its merchant has paused."""
        deal = await self.fresh_deal()
        await self.post(f"/v1/deals/{deal}/pause", "merchant")
        return deal

    async def fresh_group(self) -> str:
        """A group of a stranger's."""
        path = f"/v1/deals/{await self.fresh_deal()}/groups"
        host = self.bearer(self.tokens.good("buyer", f"host-{next(self.numbers)}"))
        opened = await self.api.post(path, json=ORDER, headers=host | self.key())
        return str(placed(opened)["group_id"])

    async def fresh_order(self) -> str:
        """An order of the buyer's that can be cancelled."""
        made = await self.post(f"/v1/deals/{await self.fresh_deal()}/groups", "buyer", ORDER)
        return str(made["id"])

    async def paid_order(self) -> str:
        """An order of the buyer's that was paid for."""
        made = await self.post(f"/v1/deals/{await self.fresh_deal()}/buy", "buyer", ORDER)
        await self.pay()
        return str(made["id"])

    async def fresh_key(self, who: str = "merchant", name: str = "spare") -> dict[str, Any]:
        """An API key with its secret."""
        return await self.post("/v1/merchant/api-keys", who, {"name": name})

    async def fresh_endpoint(self) -> str:
        """A webhook endpoint of the merchant's."""
        made = await self.post("/v1/webhook-endpoints", "merchant", {"url": HOOK})
        return str(made["id"])

    async def fresh_code(self) -> dict[str, str]:
        """What somebody new may sign in with."""
        email = f"new-{next(self.numbers)}@example.com"
        return {"grant_type": "otp", "email": email, "code": await ask_for_code(self.api, email=email)}


async def furnish(world: World) -> None:
    """Lets everybody in, and gives the owners something of everything."""
    await _people(world)
    await _selling(world)
    await _buying(world)
    await _sharing(world)


async def _people(world: World) -> None:
    api, tokens = world.api, world.tokens
    ann = await sign_in(api, email=EMAIL)
    subject = str((await api.get("/v1/me", headers=header_of(ann))).json()["id"])
    left = await sign_in(api, email="signed-out@example.com")
    await api.post("/v1/auth/revoke", json={"refresh_token": left["refresh_token"]})

    async def has_left() -> bool:
        return (await api.get("/v1/me", headers=header_of(left))).status_code == httpx.codes.UNAUTHORIZED

    await until(has_left)
    gone = await sign_in(api, email="gone@example.com")
    assert (await api.delete("/v1/me", headers=header_of(gone))).status_code == httpx.codes.NO_CONTENT
    credentials = {
        "buyer": ann["access_token"],
        "fellow member": tokens.good("buyer", FELLOW),
        "other buyer": tokens.good("buyer", "bob"),
        "buyer who signed out": left["access_token"],
        "buyer called as the merchant": tokens.good("buyer", SHOP),
        "merchant": tokens.good("merchant", SHOP),
        "other merchant": tokens.good("merchant", "zenith"),
        "merchant called as the buyer": tokens.good("merchant", subject),
        "admin": tokens.good("admin", "root"),
        "buyer's expired token": tokens.expired("buyer", subject),
        "merchant's expired token": tokens.expired("merchant", SHOP),
        "admin of another key": tokens.of_another_key("admin", "root"),
        "unsigned admin": tokens.unsigned("admin", "root"),
        "unknown role": tokens.with_role("owner", SHOP),
        "several roles": tokens.with_role(["merchant", "admin"], SHOP),
        "erased buyer": gone["access_token"],
    }
    world.headers = {name: world.bearer(credential) for name, credential in credentials.items()}
    world.headers |= {"nobody": {}, "no bearer": {"Authorization": "Basic YWNtZTphY21l"}}
    world.ids["ended_session"] = left["refresh_token"]
    # A merchant who goes by the buyer's name may well read their own.
    world.marks[subject] = BUYER | {"merchant called as the buyer"}
    world.marks |= {EMAIL: BUYER, ann["refresh_token"]: NOBODY, ann["access_token"]: NOBODY}
    world.marks[FELLOW] = frozenset({"fellow member"})


async def _selling(world: World) -> None:
    product = await world.post(
        "/v1/products",
        "merchant",
        {
            "title": "Kettle",
            "variants": [{"sku": "K", "title": "Red", "list_price": {"amount": 1000, "currency": "USD"}}],
        },
    )
    keys = {
        "merchant's key": await world.fresh_key(name=KEY_NAME),
        "other merchant's key": await world.fresh_key("other merchant"),
        "deleted key": await world.fresh_key(),
        "expired key": await world.fresh_key(),
    }
    world.headers |= {name: world.bearer(made["key"]) for name, made in keys.items()}
    text = str(keys["merchant's key"]["key"])
    world.headers["key with another secret"] = world.bearer(
        text[:-4] + ("0000" if text[-4:] != "0000" else "1111")
    )
    deleted = f"/v1/merchant/api-keys/{keys['deleted key']['id']}"
    assert (await world.api.delete(deleted, headers=world.headers["merchant"])).is_success
    await world.market.pool.execute(
        "UPDATE api_keys SET expires_at = app_now() WHERE id = $1", keys["expired key"]["id"]
    )
    hook = await world.post("/v1/webhook-endpoints", "merchant", {"url": HOOK, "description": HOOK_NOTE})
    ping = await world.post(f"/v1/webhook-endpoints/{hook['id']}/test", "merchant")
    world.ids |= {
        "product_id": product["id"],
        "variant_id": product["variants"][0]["id"],
        "key_id": keys["merchant's key"]["id"],
        "endpoint_id": hook["id"],
        "delivery_id": ping["id"],
    }
    world.marks |= {text: NOBODY, hook["secret"]: NOBODY, HOOK: MERCHANT, HOOK_NOTE: MERCHANT}
    # An admin reads these in the merchant's log of changes.
    world.marks |= {KEY_NAME: SELLER, hook["id"]: SELLER, keys["merchant's key"]["id"]: SELLER}


async def _buying(world: World) -> None:
    deal = await world.market.deal(stock=1_000, max_headcount=50)
    mine = await world.post(f"/v1/deals/{deal}/groups", "buyer", _order(CARD, STREET))
    group = str(mine["group_id"])
    theirs = await world.post(
        f"/v1/groups/{group}/join", "fellow member", _order("card-other", FELLOW_STREET)
    )
    alone = await world.post(f"/v1/deals/{deal}/buy", "buyer", _order(CARD, STREET))
    await world.pay()
    await world.post(f"/v1/orders/{alone['id']}/refunds", "merchant", {"amount": 100, "reason": REASON})
    world.ids |= {
        "deal_id": deal,
        "group_id": group,
        "share_code": mine["group"]["share_code"],
        "order_id": alone["id"],
    }
    fellow = frozenset({"fellow member"})
    world.marks |= {mine["id"]: BUYER | SELLER, alone["id"]: BUYER | SELLER, theirs["id"]: fellow | SELLER}
    # A merchant reads where to ship what was paid for, and the card is nobody's business but its owner's.
    world.marks |= {STREET: BUYER | SELLER, FELLOW_STREET: fellow, CARD: BUYER}
    world.marks[REASON] = BUYER | SELLER


async def _sharing(world: World) -> None:
    path = f"/v1/groups/{world.ids['group_id']}/invites"
    await world.post(path, "buyer", {"recipients": [{"email": FRIEND}]})
    listed = (await world.api.get(path, headers=world.headers["buyer"])).json()
    outbox = await world.api.get("/dev/outbox", params={"to": FRIEND}, headers={"Accept": "application/json"})
    world.ids["token"] = str(outbox.json()["items"][0]["text"]).rpartition("/")[2]
    # The inviter reads a masked address: even theirs is shown whole to nobody.
    world.marks |= {FRIEND: NOBODY, listed["items"][0]["invite_code"]: BUYER}


def _order(card: str, street: str) -> dict[str, Any]:
    address = {"name": "A. Buyer", "lines": [street], "city": "Lyon", "country": "FR"}
    return {"quantity": 1, "payment_method": f"pm_ok:{card}", "ship_to": address}
