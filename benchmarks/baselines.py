"""What a join is compared with: the framework's hello world, and the design one would write first.

Both are ordinary Litestar routes of the measured application, behind the same layers, log line and metrics,
and take and return what a join does. The hello route does nothing: it is the cost of the framework. The naive
route places each buyer by a call to Redis of its own and records each order by an INSERT of its own, through
a client and a pool that it shares with nobody, as large as one would make them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import NoScriptError

from benchmarks.statements import kit_statements
from groups.ids import new_id
from pintuan.base.auth import requires_role
from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group, GroupTier, Order, Payment
from pintuan.buying.orders.placing import buyer_of
from pintuan.buying.orders.schemas import NewOrder
from pintuan.http.bodies import ApiRequest
from pintuan.http.created import created
from pintuan.http.parameters import IdempotencyKeyHeader, InjectedResources, require_idempotency_key

if TYPE_CHECKING:
    from pintuan.base.process import Resources

PREFIX: Final = "/bench/"
HELLO_PATH: Final = f"{PREFIX}hello"
NAIVE_PATH: Final = f"{PREFIX}naive/{{deal_id}}/join"
STOCK_UNITS: Final = 1_000_000
GROUP_SEATS: Final = 100
GROUP_LIFETIME: Final = timedelta(hours=1)
POSTGRES_CONNECTIONS_MAX: Final = 12
REDIS_CONNECTIONS_MAX: Final = 16
CONNECTION_WAIT_S: Final = 1.0
CALL_TIMEOUT_S: Final = 2.0
_NAIVE: Final = kit_statements("naive")
_SCRIPT: Final = files("benchmarks").joinpath("naive_place.lua").read_text(encoding="utf-8")
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


def example_order(*, order_id: str, deal_id: str, group_id: str, seat: int, moment: datetime) -> Order:
    """Returns an order with its group, as large on the wire as a join's."""
    price, lower = Money(900, "USD"), Money(700, "USD")
    group = Group(
        id=group_id,
        deal_id=deal_id,
        share_code="k7mq3xw9bd",
        share_url="http://127.0.0.1:8000/g/k7mq3xw9bd",
        status="open",
        headcount=0,
        held=seat,
        max_headcount=GROUP_SEATS,
        min_headcount=2,
        unit_price=price,
        next_tier=GroupTier(GROUP_SEATS, lower, GROUP_SEATS),
        deadline=moment + GROUP_LIFETIME,
        opened_at=moment,
        settled_at=None,
        final_unit_price=None,
        server_time=moment,
        my_order=None,
    )
    return Order(
        id=order_id,
        deal_id=deal_id,
        offer=None,
        group_id=group_id,
        seat=seat,
        status="held",
        quantity=1,
        promised_price=price,
        charged_unit_price=None,
        charged_total=None,
        refunded_total=None,
        refunds=[],
        payment=Payment("due"),
        group=group,
        created_at=moment,
    )


_HELLO: Final = example_order(
    order_id=new_id("ord"), deal_id=new_id("deal"), group_id=new_id("grp"), seat=57, moment=datetime.now(UTC)
)


@post(HELLO_PATH)
async def hello(data: JSONBody[NewOrder]) -> Order:  # noqa: ARG001 - decoding it is part of the cost.
    """Answers with an order that was made before."""
    return _HELLO


@post("/bench/naive/{deal_id:str}/join", guards=[requires_role("buyer")])
async def naive_join(
    deal_id: FromPath[str],
    data: JSONBody[NewOrder],
    request: ApiRequest,
    resources: InjectedResources,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response[Order]:
    """Places and records one buyer; no rate limit, no promise checked, nothing mended after a crash."""
    buyer_id = buyer_of(request)
    key = require_idempotency_key(idempotency_key)
    group_no, seat = await _placed(resources, deal_id, buyer_id)
    order_id = new_id("ord")
    pool = await _pool_at(resources.settings.database_url)
    moment = await pool.fetchval(
        _NAIVE["insert_naive_order"],
        order_id,
        deal_id,
        group_no,
        seat,
        buyer_id,
        data.quantity,
        900,
        data.payment_method,
        key,
    )
    order = example_order(
        order_id=order_id, deal_id=deal_id, group_id=f"{deal_id}-{group_no}", seat=seat, moment=moment
    )
    return created(order, f"/v1/orders/{order_id}")


@cache
def _client_at(url: str | None) -> Redis:
    """Returns the naive design's client, which lives as long as the process."""
    pool = BlockingConnectionPool.from_url(
        str(url),
        max_connections=REDIS_CONNECTIONS_MAX,
        timeout=CONNECTION_WAIT_S,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CALL_TIMEOUT_S,
    )
    return Redis.from_pool(pool)


@cache
def _pool_at(url: str | None) -> asyncio.Task[asyncpg.Pool]:
    """Returns the naive design's pool, which is opened once and lives as long as the process."""

    async def opened() -> asyncpg.Pool:
        return await asyncpg.create_pool(
            url, min_size=1, max_size=POSTGRES_CONNECTIONS_MAX, command_timeout=CALL_TIMEOUT_S
        )

    return asyncio.get_running_loop().create_task(opened())


async def _placed(resources: Resources, deal_id: str, buyer_id: str) -> tuple[int, int]:
    """Returns the number of a group and a seat in it, both from 1."""
    call = (f"naive:{deal_id}:members", f"naive:{deal_id}:counts", buyer_id, STOCK_UNITS, GROUP_SEATS)
    # redis-py's own types know neither its asynchronous answers nor numbers as arguments.
    redis: Any = _client_at(resources.settings.redis_url)
    try:
        group_no, seat = await redis.evalsha(_DIGEST, 2, *call)
    except NoScriptError:
        # The first call to a fresh Redis brings the script along.
        group_no, seat = await redis.eval(_SCRIPT, 2, *call)
    if not seat:
        raise RuntimeError("the benchmark sends each buyer once, and never more than are in stock")
    return group_no, seat


HANDLERS: Final = [hello, naive_join]
