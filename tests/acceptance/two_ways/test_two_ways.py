"""The short way of a placing call against the ordinary route: whatever is found and sent, nobody can tell.

Two ports serve one application. On one the protocol answers what it can by itself, on the other everything
is answered by the application. The same bytes go to both, each to a deal of its own, made the same way.
A route that places, or a code of the problem table, that nobody thought of here fails a test of this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from groups.engine import open_engine
from pintuan.app import create_app
from pintuan.base.auth import Role
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.buying.orders import direct_request
from pintuan.buying.orders.direct import DirectPlacing
from pintuan.http.problems import kinds
from pintuan.http.protocol import placement_gate
from pintuan.http.protocol.placement_gate import PlacementGate
from tests.acceptance.authorisation.identities import Tokens
from tests.acceptance.conftest import CALL_TIMEOUT_S, HOST, SECRET_KEY, listening
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import ORDER, Shoppers
from tests.acceptance.signing_in import header_of, sign_in
from tests.acceptance.two_ways.asking import JSON, REQUEST_ID, Answer, Request, ask, likeness
from tests.acceptance.two_ways.oddities import oddities
from tests.acceptance.two_ways.states import STATES, Route, Sale, Shop, State, room_for_everybody
from tests.acceptance.two_ways.troubles import TROUBLES
from tests.conftest import TEMPLATE_DATABASE, PostgresFixture, own_database
from tests.market import Market

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]

ORDER_SCHEMA: Final = "#/components/schemas/NewOrder"
NOT_PROVOKED: Final = {"internal": "nothing that a caller or a store does may lead to it"}
ELSEWHERE: Final = frozenset({"cancel_locked", "not_cancellable", "not_refundable", "method_not_allowed"})
"""Codes of calls that place nothing."""
UNKNOWN_DEALS: Final = frozenset({"a deal this process never saw", "a deal and a group that are not there"})
UNKNOWN_GROUPS: Final = UNKNOWN_DEALS | {"a group of a known deal that is not there", "the first buyer"}
"""States in which the short way cannot know the lane, so that the application is asked at once."""
FOUND_BY_THE_ODD: Final[dict[str, State]] = {
    "a deal with room for everybody": room_for_everybody,
    "sold out": STATES["sold out"],
    "not there": STATES["a deal and a group that are not there"],
}
"""What requests that are not plain find, each many of them."""
# What is refused first does not hang on which call it is.
ONCE: Final = ("sold out", "not there")
ONCE_BY: Final = "/v1/deals/{deal_id}/join"
DIFFERENT_SHOWN_MAX: Final = 40
# Limits that count down with the clock are compared by whether there is one.
WAITS: Final = re.compile(rb"(?<=\r\nretry-after: )\d+|(?<=try again in )\d+")


class Counting(DirectPlacing):
    """Notes the calls it took on."""

    taken = 0

    def begin(self, call: Any) -> bool:
        took = super().begin(call)
        self.taken += took
        return took


class Pair(NamedTuple):
    """What one request was answered both ways, and whether the short way took it on."""

    route: Route
    found: str
    sent: str
    short: Answer
    ordinary: Answer
    taken: bool
    behind: tuple[Any, Any]

    @property
    def name(self) -> str:
        return f"{self.route.template}, {self.found}, {self.sent}"


@dataclass
class Ways:
    """Both ports, and what stands behind them."""

    shop: Shop
    placing: Counting
    ports: tuple[int, int]
    gates: tuple[PlacementGate, PlacementGate]
    database_url: str
    tokens: Tokens
    pairs: list[Pair] = field(default_factory=list)

    async def compare(self, route: Route, found: str, sent: str, requests: Sequence[Request]) -> None:
        """Asks both, one after the other, for each has its own deal."""
        before = self.placing.taken
        short = await ask(self.ports[0], requests[0])
        taken = self.placing.taken > before
        ordinary = await ask(self.ports[1], requests[1])
        self.pairs.append(Pair(route, found, sent, short, ordinary, taken, ((), ())))

    def request(self, route: Route, sale: Sale) -> Request:
        """A plain call."""
        token = self.tokens.good("buyer", sale.buyer).encode()
        headers = (
            (b"Authorization", b"Bearer " + token),
            (b"Idempotency-Key", sale.key.encode()),
            (b"Content-Type", JSON),
            (b"X-Request-Id", REQUEST_ID),
        )
        return Request(sale.path(route).encode(), headers, json.dumps(sale.body or ORDER).encode())


def routes_of(contract: Contract) -> list[Route]:
    """Every call of the contract whose body is an order."""
    found = []
    for path, item in contract.document["paths"].items():
        schema = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if schema.get("schema", {}).get("$ref") == ORDER_SCHEMA:
            codes = {
                code
                for response in item["post"]["responses"].values()
                for media in response.get("content", {}).values()
                for code in media.get("examples", {})
            }
            found.append(Route(path, frozenset(codes)))
    return found


@pytest.fixture(scope="module")
async def pairs(
    postgres: PostgresFixture,
    redis_server: EmbeddedRedis,
    contract: Contract,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[list[Pair]]:
    """Sends everything both ways."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(own_database(postgres, template=TEMPLATE_DATABASE))
        redis = await stack.enter_async_context(Redis.from_url(redis_server.url))
        await redis.flushall()
        pool = await stack.enter_async_context(asyncpg.create_pool(url))
        settings = Settings(
            database_url=url,
            redis_url=redis_server.url,
            data_dir=tmp_path_factory.mktemp("data"),
            secret_key=SECRET_KEY,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pintuan.app.DirectPlacing", Counting)
            app = create_app(settings)
        gates = (PlacementGate(settings.placements_in_flight), PlacementGate(settings.placements_in_flight))
        short = await stack.enter_async_context(listening(app, gate=gates[0]))
        ordinary = await stack.enter_async_context(listening(app, gate=gates[1], direct=False))
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{HOST}:{short}", timeout=CALL_TIMEOUT_S)
        )
        elsewhere = await stack.enter_async_context(open_engine(pool, redis_server.url, rates=None))
        tokens = Tokens(SECRET_KEY)

        def bearer(role: Role, subject: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {tokens.good(role, subject)}"}

        shop = Shop(Market(pool), Shoppers(api, bearer), bearer, elsewhere, redis)
        ways = Ways(shop, app.state.direct_placing, (short, ordinary), gates, url, tokens)
        for route in routes_of(contract):
            await _states(ways, route)
            await _troubles(ways, route)
            await _oddities(ways, route)
        yield ways.pairs


async def _states(ways: Ways, route: Route) -> None:
    for name, make in STATES.items():
        sales = [await make(ways.shop, route) for _ in ways.ports]
        await ways.compare(route, name, "a plain call", [ways.request(route, sale) for sale in sales])
        last = ways.pairs.pop()
        behind = [await _left_behind(ways.shop.market, sale) for sale in sales]
        ways.pairs.append(last._replace(behind=(behind[0], behind[1])))


async def _troubles(ways: Ways, route: Route) -> None:
    for name, begin in TROUBLES.items():
        sales = [await STATES["a group runs"](ways.shop, route) for _ in ways.ports]
        async with begin(ways.database_url, ways.gates, sales):
            await ways.compare(route, "a group runs", name, [ways.request(route, sale) for sale in sales])


async def _oddities(ways: Ways, route: Route) -> None:
    """Everything odd, on a deal that sells, one that is sold out, and one that is not there."""
    credentials = await _credentials(ways)
    for found, make in FOUND_BY_THE_ODD.items():
        if found in ONCE and route.template != ONCE_BY:
            continue
        sales = [await make(ways.shop, route) for _ in ways.ports]
        for number, (sent, change) in enumerate(oddities(credentials).items()):
            requests = []
            for sale in sales:
                sale.buyer, sale.key = f"buyer-{number}", f"key-{number}"
                requests.append(change(ways.request(route, sale)))
            await ways.compare(route, found, sent, requests)


async def _credentials(ways: Ways) -> dict[str, bytes]:
    """Values of Authorization of everybody who may not place, by who they are."""
    tokens, api = ways.tokens, ways.shop.shoppers.api
    gone = await sign_in(api, email=f"gone-{len(ways.pairs)}@example.com")
    assert (await api.delete("/v1/me", headers=header_of(gone))).is_success
    key = await api.post(
        "/v1/merchant/api-keys", json={"name": "key"}, headers=ways.shop.bearer("merchant", "acme")
    )
    bearers = {
        "a merchant": tokens.good("merchant", "acme"),
        "an admin": tokens.good("admin", "root"),
        "an API key": key.json()["key"],
        "an API key that is none": "ptk_" + "0" * 32 + "_" + "0" * 64,
        "somebody whose token expired": tokens.expired("buyer", "ann"),
        "somebody of another key": tokens.of_another_key("buyer", "ann"),
        "somebody unsigned": tokens.unsigned("buyer", "ann"),
        "an unknown role": tokens.with_role("owner", "ann"),
        "several roles": tokens.with_role(["buyer"], "ann"),
        "nobody": tokens.with_role("buyer", ""),
        "somebody of another issuer": tokens.with_role("buyer", "shop|ann"),
        "somebody erased": gone["access_token"],
    }
    return {name: f"Bearer {token}".encode() for name, token in bearers.items()}


async def _left_behind(market: Market, sale: Sale) -> Any:
    """What the deal's orders and stock are."""
    orders = await market.pool.fetch(
        "SELECT buyer_id, status, quantity, seat, promised_unit_minor, payment_method, ship_to, invite_code,"
        " group_id = $2 AS in_group, lane_no FROM orders WHERE deal_id = $1"
        " ORDER BY buyer_id, created_at, seat",
        sale.deal,
        sale.group,
    )
    lanes = await market.pool.fetch(
        "SELECT lane_no, stock_units, sold_units FROM lanes WHERE deal_id = $1 ORDER BY lane_no", sale.deal
    )
    return [tuple(row) for row in (*orders, *lanes)]


async def test_both_ways_answer_alike(pairs: list[Pair]) -> None:
    different = []
    for pair in pairs:
        short, ordinary = (WAITS.sub(b"n", likeness(answer)) for answer in (pair.short, pair.ordinary))
        if short != ordinary:
            told = (b"--- the short way", short, b"--- the route", ordinary)
            different.append("\n".join([pair.name, *(part.decode("latin-1") for part in told)]))
    assert not different, f"{len(different)} of {len(pairs)}\n\n" + "\n\n".join(
        different[:DIFFERENT_SHOWN_MAX]
    )


async def test_both_ways_leave_the_same_behind(pairs: list[Pair]) -> None:
    different = {pair.name: pair.behind for pair in pairs if pair.behind[0] != pair.behind[1]}
    assert different == {}


async def test_every_code_that_a_placing_call_may_answer_was_met(
    pairs: list[Pair], contract: Contract
) -> None:
    for route in routes_of(contract):
        met = {pair.short.code for pair in pairs if pair.route == route} - {"", *ELSEWHERE}
        assert met == route.codes - set(NOT_PROVOKED), route.template
        statuses = {pair.short.status for pair in pairs if pair.route == route}
        assert {200, 201} <= statuses, route.template


def test_every_code_is_a_placing_calls_or_known_not_to_be(contract: Contract) -> None:
    placing = frozenset().union(*(route.codes for route in routes_of(contract)))
    assert {kind.code for kind in kinds()} == placing | ELSEWHERE


def test_the_routes_that_place_are_the_same_to_all_who_tell_them_apart(contract: Contract) -> None:
    paths = sorted(route.template for route in routes_of(contract))
    assert sorted(placement_gate.ROUTES) == paths
    assert sorted(kind.route for kind in direct_request._KINDS.values()) == paths


async def test_a_plain_call_goes_the_short_way_in_every_state_that_allows_it(pairs: list[Pair]) -> None:
    for pair in pairs:
        unknown = UNKNOWN_GROUPS if pair.route.is_in_group else UNKNOWN_DEALS
        if pair.sent == "a plain call":
            assert pair.taken != (pair.found in unknown), pair.name
