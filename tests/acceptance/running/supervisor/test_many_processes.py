"""Two API processes on one socket: nothing that must be right is kept in the memory of one of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import httpx
import psutil
import pytest

from tests.acceptance.buying.live.watching import watching
from tests.acceptance.contract.documented import Contract
from tests.marketplace import CALL_TIMEOUT_S, Running, Site, open_deal
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OF_EACH = 6
"""Connections to each process; more shoppers than connections would only wait for each other."""
CONNECTIONS_MAX = 400
SHOPPERS = 90
STOCK = 40
LADDER = [{"headcount": 1, "unit_price": 950}, {"headcount": 2, "unit_price": 900}]


@dataclass
class Doors:
    """Clients of one connection each, by the process that serves it."""

    by_process: dict[int, list[httpx.AsyncClient]]

    def all(self) -> list[httpx.AsyncClient]:
        """Those of both processes by turns."""
        return [door for pair in zip(*self.by_process.values(), strict=True) for door in pair]


@asynccontextmanager
async def doors_to(up: Running, contract: Contract) -> AsyncIterator[Doors]:
    """Connects until every API process serves `OF_EACH` connections; the system chooses which gets one."""
    pids = [process.pid for process in up.processes("api")]
    found: dict[int, list[httpx.AsyncClient]] = {pid: [] for pid in pids}
    async with AsyncExitStack() as stack:

        async def connect() -> None:
            client = httpx.AsyncClient(
                base_url=up.url,
                timeout=CALL_TIMEOUT_S,
                limits=httpx.Limits(max_connections=1),
                trust_env=False,
                event_hooks={"response": [contract.check]},
            )
            await stack.enter_async_context(client)
            port = await own_port(client)
            found[server_of(port, pids)].append(client)

        for _ in range(CONNECTIONS_MAX // OF_EACH):
            if all(len(doors) >= OF_EACH for doors in found.values()):
                break
            # Together, so that a process that is busy with one leaves others to its sibling.
            await asyncio.gather(*(connect() for _ in range(OF_EACH)))
        yield Doors({pid: list(islice(doors, OF_EACH)) for pid, doors in found.items()})


async def own_port(client: httpx.AsyncClient) -> int:
    """The port of our end of the client's connection."""
    response = await client.get("/health/live")
    _, port = response.extensions["network_stream"].get_extra_info("client_addr")
    return int(port)


def server_of(port: int, pids: list[int]) -> int:
    """The process that holds the other end."""
    for pid in pids:
        for connection in psutil.Process(pid).net_connections("tcp"):
            if connection.raddr and connection.raddr.port == port:
                return pid
    raise AssertionError(f"nobody serves the connection from port {port}")


async def place(door: httpx.AsyncClient, path: str, token: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return await door.post(path, json={"payment_method": "pm_ok"}, headers=headers)


async def tea(door: httpx.AsyncClient, merchant: str, **terms: Any) -> str:
    plain = {"ladder": LADDER, "min_headcount": 1, "group_ttl_seconds": 600, "per_buyer_units": 1}
    return await open_deal(door, merchant, **(plain | terms))


async def test_watchers_see_joins_that_the_other_process_took(site: Site, contract: Contract) -> None:
    up = await site.up("--api-workers", "2")
    (merchant,) = await site.tokens("merchant", "acme")
    buyers = await site.tokens("buyer", "shopper", 5)
    async with doors_to(up, contract) as doors:
        mine, theirs = doors.by_process.values()
        deal = await tea(mine[0], merchant, max_headcount=9, stock=9)
        opened = await place(mine[0], f"/v1/deals/{deal}/groups", buyers[0], "open")
        assert opened.status_code == 201, opened.text
        group = opened.json()["group_id"]
        async with watching(mine[1], group) as here, watching(theirs[1], group) as there:
            for number, door in enumerate((mine[0], theirs[0], mine[0], theirs[0]), start=1):
                joined = await place(door, f"/v1/groups/{group}/join", buyers[number], "join")
                assert joined.status_code == 201, joined.text
                for stream in (here, there):
                    await stream.group(has_seats(number + 1))
    await site.assert_sound()
    assert await up.terminate() == 0


def has_seats(count: int) -> Callable[[dict[str, Any]], bool]:
    return lambda group: bool(group["headcount"] + group["held"] == count)


async def test_a_rush_through_both_sells_the_stock_once_and_loses_nothing(
    site: Site, contract: Contract
) -> None:
    up = await site.up("--api-workers", "2")
    (merchant,) = await site.tokens("merchant", "acme")
    buyers = await site.tokens("buyer", "shopper", SHOPPERS)
    async with doors_to(up, contract) as doors:
        every = doors.all()
        deal = await tea(every[0], merchant, max_headcount=7, stock=STOCK, lanes=2)
        path = f"/v1/deals/{deal}/join"
        # Everybody asks both processes with one key: the second call finds the order of the first.
        calls = [
            place(door, path, token, token[-24:])
            for token, pair in zip(buyers, cycle(zip(every[::2], every[1::2], strict=True)), strict=False)
            for door in pair
        ]
        answers = await asyncio.gather(*calls)
        seats: defaultdict[str, set[int]] = defaultdict(set)
        created: Counter[str] = Counter()
        sold: dict[str, str] = {}
        for number, answer in enumerate(answers):
            if answer.status_code not in (200, 201):
                assert answer.json()["code"] in ("sold_out", "idempotency_in_flight"), answer.text
                continue
            order = answer.json()
            assert sold.setdefault(order["id"], buyers[number // 2]) == buyers[number // 2]
            created[order["id"]] += answer.status_code == 201
            seats[order["group_id"]].add(order["seat"])
        assert len(sold) == sum(map(len, seats.values())) == STOCK
        assert max(created.values()) == 1, "an order is made once"
        for taken in seats.values():
            assert taken == set(range(1, len(taken) + 1))
        for (order_id, token), door in zip(sold.items(), cycle(every), strict=False):
            shown = await door.get(f"/v1/orders/{order_id}", headers={"Authorization": f"Bearer {token}"})
            assert shown.status_code == 200, shown.text
        for door in every[:2]:
            assert (await door.get(f"/v1/deals/{deal}")).json()["sold"] == STOCK
    await site.assert_sound()
    assert await up.terminate() == 0


async def test_more_than_can_be_placed_is_told_to_come_again_and_everything_else_goes_on(
    site: Site, contract: Contract
) -> None:
    up = await site.up("--api-workers", "2", PINTUAN_PLACEMENTS_IN_FLIGHT="1")
    (merchant,) = await site.tokens("merchant", "acme")
    buyers = await site.tokens("buyer", "shopper", SHOPPERS)
    refused: list[httpx.Response] = []
    async with doors_to(up, contract) as doors:
        every = doors.all()
        deal = await tea(every[0], merchant, max_headcount=9, stock=SHOPPERS)

        async def insist(door: httpx.AsyncClient, token: str) -> str:
            while True:
                answer = await place(door, f"/v1/deals/{deal}/join", token, "the same")
                if answer.status_code in (200, 201):
                    return str(answer.json()["id"])
                refused.append(answer)
                assert (await door.get("/health/live")).status_code == 200
                assert (await door.get(f"/v1/deals/{deal}")).status_code == 200

        asking = (insist(door, token) for token, door in zip(buyers, cycle(every), strict=False))
        assert len(set(await asyncio.gather(*asking))) == SHOPPERS
        assert refused, "there was to be more than could be placed"
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["x-request-id"]
        await until(lambda: counts(every[0], len(refused)))
    await site.assert_sound()
    assert await up.terminate() == 0
    assert "more is asked for than can be placed" in site.log.read_text()


async def counts(door: httpx.AsyncClient, refused: int) -> bool:
    """Whether the metrics tell of these refusals by the route of what was placed, and all calls ended."""
    text = (await door.get("/metrics")).text
    where = 'method="POST",route="/v1/deals/{deal_id}/join"'
    placed = f'pintuan_http_requests_total{{{where},status="201"}} {SHOPPERS}.0'
    turned_away = f'pintuan_http_requests_total{{{where},status="503"}} {refused}.0'
    return placed in text and turned_away in text and "pintuan_placements_in_flight 0.0" in text
