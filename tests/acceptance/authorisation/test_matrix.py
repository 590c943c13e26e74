"""Every operation as everybody: who is served, who is refused and how, and who reads what.

All calls are made once, for the whole module, on one API and one marketplace. `access.py` says what must come
of them; a route that has no line there fails the first test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import asyncpg
import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute
from redis.asyncio import Redis

from pintuan.app import ROUTES, create_app
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedRedis
from pintuan.base.stores.postgres import open_pool
from pintuan.people.activity.store import Entry, Wanted, list_activity
from tests.acceptance.authorisation.access import ACCESS, STATUSES, UNDOCUMENTED, UNMADE, Verdict, expected
from tests.acceptance.authorisation.calls import LAST, Call, call_of
from tests.acceptance.authorisation.identities import IDENTITIES, Identity, Tokens
from tests.acceptance.authorisation.world import KEY_NAME, SHOP, World, furnish
from tests.acceptance.conftest import HOST, SECRET_KEY, serving
from tests.acceptance.contract.documented import Contract
from tests.conftest import TEMPLATE_DATABASE, PostgresFixture, own_database
from tests.market import Market

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

LOG_MAX: Final = 10_000
# As many as a class of calls has places for: here nobody is to wait for others.
AT_ONCE: Final = 2
# Headers that differ between two answers that say the same.
PASSING: Final = ("date", "x-request-id", "content-length")
# What calls that are refused may leave behind: that they count, and that a key was used, about once a minute.
COUNTED: Final = "limit_windows"
NOTED_IN_PASSING: Final = {"api_keys": "last_used_at"}


class Cell(NamedTuple):
    """What somebody was answered."""

    operation_id: str
    who: Identity
    status: int
    text: str
    request_id: str


class Matrix(NamedTuple):
    """All that was answered, and what the marketplace held before the refused calls and after them."""

    cells: list[Cell]
    strange: dict[tuple[str, str], str]
    pages: list[Cell]
    marks: dict[str, frozenset[str]]
    before: dict[str, str]
    after: dict[str, str]
    refreshed: int
    log: list[Entry]


class Operation(NamedTuple):
    """One operation of the contract."""

    id: str
    method: str
    path: str
    security: list[dict[str, Any]]


def operations_of(contract: Contract) -> list[Operation]:
    """Every operation: what reads first, and what spends its callers last."""
    found = [
        Operation(entry["operationId"], method.upper(), path, entry.get("security", []))
        for path, item in contract.document["paths"].items()
        for method, entry in item.items()
    ]
    return sorted(found, key=lambda operation: (operation.id in LAST, operation.method != "GET"))


def undocumented() -> Iterator[tuple[str, str]]:
    """Every route of an API process that its contract does not show."""
    app = create_app(Settings(secret_key=SECRET_KEY), routes=list(ROUTES))
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS" and not handler.resolve_include_in_schema():
                    yield method, route.path_format


@pytest.fixture(scope="module")
async def matrix(
    postgres: PostgresFixture,
    redis_server: EmbeddedRedis,
    contract: Contract,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Matrix]:
    """Makes every call as everybody."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    async with (
        own_database(postgres, template=TEMPLATE_DATABASE) as url,
        open_pool(Settings(database_url=url), size_max=4, application_name="matrix") as pool,
    ):
        settings = Settings(
            database_url=url,
            redis_url=redis_server.url,
            data_dir=tmp_path_factory.mktemp("data"),
            secret_key=SECRET_KEY,
            # Everybody comes from one address here.
            rate_limits=False,
        )
        async with serving(settings, contract) as api:
            world = World(api, Market(pool), Tokens(SECRET_KEY), asyncio.Semaphore(AT_ONCE))
            await furnish(world)
            yield await _everything(world, operations_of(contract))


async def _everything(world: World, operations: list[Operation]) -> Matrix:
    listed = [operation for operation in operations if operation.id in ACCESS]
    before = await _held(world.market.pool)
    cells = [cell for operation in listed for cell in await _refused(world, operation)]
    strange = {key: text for operation in listed for key, text in (await _strange(world, operation)).items()}
    after = await _held(world.market.pool)
    for operation in listed:
        cells += [
            await _served(world, operation, who)
            for who in IDENTITIES
            if expected(operation.id, ACCESS[operation.id], who) == "served"
        ]
    pages = [cell for method, path in UNDOCUMENTED for cell in await _page(world, method, path)]
    for operation in operations:
        if operation.id in UNMADE:
            pages += await _page(world, operation.method, operation.path)
    refresh = {"grant_type": "refresh", "refresh_token": world.ids["ended_session"]}
    refreshed = await world.api.post("/v1/auth/token", json=refresh)
    log = await list_activity(world.market.pool, Wanted(), after=None, limit=LOG_MAX)
    return Matrix(cells, strange, pages, world.marks, before, after, refreshed.status_code, log)


async def _refused(world: World, operation: Operation) -> list[Cell]:
    """What those are answered who must be refused, on the owners' own objects."""
    callers = [who for who in IDENTITIES if expected(operation.id, ACCESS[operation.id], who) != "served"]
    if not callers:
        return []
    call = await call_of(world, operation.id, operation.method, operation.path)
    return list(await asyncio.gather(*(_sent(world, operation.id, who, call) for who in callers)))


async def _strange(world: World, operation: Operation) -> dict[tuple[str, str], str]:
    """What those are answered who must not know whether the object is there, where it is not."""
    callers = [who for who in IDENTITIES if expected(operation.id, ACCESS[operation.id], who) == "not_found"]
    if not callers:
        return {}
    call = await call_of(world, operation.id, operation.method, operation.path, strange=True)
    cells = await asyncio.gather(*(_sent(world, operation.id, who, call) for who in callers))
    return {(cell.operation_id, cell.who.name): cell.text for cell in cells}


async def _served(world: World, operation: Operation, who: Identity) -> Cell:
    call = await call_of(world, operation.id, operation.method, operation.path, spend=True)
    return await _sent(world, operation.id, who, call)


async def _page(world: World, method: str, path: str) -> list[Cell]:
    asset = "group.css" if path.startswith("/pages") else "page.css"
    ids = world.ids | {"name": asset, "gateway": "sandbox"}
    form = {"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}
    call = Call(method, path.format_map(ids), (), {}, None, b"contact=ann" if form else None, form)
    return list(await asyncio.gather(*(_sent(world, f"{method} {path}", who, call) for who in IDENTITIES)))


async def _sent(world: World, name: str, who: Identity, call: Call) -> Cell:
    headers = call.headers | world.headers[who.name]
    request = world.api.build_request(
        call.method, call.url, params=call.params, json=call.json, content=call.content, headers=headers
    )
    async with world.turns:
        return await _read(name, who, call, await world.api.send(request, stream=True))


async def _read(name: str, who: Identity, call: Call, response: httpx.Response) -> Cell:
    async with aclosing(response):
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            # A stream of a group that runs does not end; its first event has the whole group.
            text = await anext(response.aiter_text())
        else:
            await response.aread()
            text = response.text
    told = "\n".join(f"{key}: {value}" for key, value in response.headers.items() if key not in PASSING)
    text = f"{told}\n{text}"
    if response.is_error:
        # A refusal may repeat what it was asked for.
        for asked in call.ids:
            text = text.replace(asked, "…")
    return Cell(name, who, response.status_code, text, response.headers["x-request-id"])


async def _held(pool: asyncpg.Pool) -> dict[str, str]:
    """A digest of every table."""
    names = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    digests = {}
    for name in sorted({row["tablename"] for row in names} - {COUNTED}):
        rows = f"SELECT (to_jsonb(t) - $1::text)::text AS row FROM {name} t"  # noqa: S608 - of the catalog.
        digests[name] = await pool.fetchval(
            f"SELECT md5(coalesce(string_agg(row, '' ORDER BY row), '')) FROM ({rows}) AS rows",  # noqa: S608
            NOTED_IN_PASSING.get(name, ""),
        )
    return digests


def test_every_operation_has_a_line_and_every_line_an_operation(contract: Contract) -> None:
    assert sorted(operation.id for operation in operations_of(contract)) == sorted([*ACCESS, *UNMADE])


def test_every_route_outside_the_contract_is_known() -> None:
    assert sorted(undocumented()) == sorted(UNDOCUMENTED)


def test_the_contract_says_of_credentials_what_the_table_does(contract: Contract) -> None:
    told: dict[str, list[dict[str, list[str]]]] = {
        "everyone": [],
        "visitors": [{}, {"bearer": []}, {"api_key": []}],
        "buyers": [{"bearer": []}],
        "sellers": [{"bearer": []}, {"api_key": []}],
        "selling people": [{"bearer": []}],
    }
    listed = [operation for operation in operations_of(contract) if operation.id in ACCESS]
    assert {operation.id: operation.security for operation in listed} == {
        operation.id: told[ACCESS[operation.id].audience] for operation in listed
    }


async def test_everybody_gets_as_far_as_the_table_says_and_no_further(matrix: Matrix) -> None:
    assert len(matrix.cells) == len(ACCESS) * len(IDENTITIES)
    wrong = [
        f"{cell.operation_id} as {cell.who.name}: {cell.status}, not {wanted}\n{cell.text}"
        for cell in matrix.cells
        if not _is(cell.status, wanted := expected(cell.operation_id, ACCESS[cell.operation_id], cell.who))
    ]
    assert not wrong, "\n\n".join(wrong)


async def test_a_refused_call_changes_nothing(matrix: Matrix) -> None:
    assert matrix.before == matrix.after


async def test_anothers_object_is_answered_like_one_that_is_not_there(matrix: Matrix) -> None:
    assert matrix.strange
    assert matrix.strange == {
        (cell.operation_id, cell.who.name): cell.text
        for cell in matrix.cells
        if expected(cell.operation_id, ACCESS[cell.operation_id], cell.who) == "not_found"
    }


async def test_no_answer_tells_what_is_anothers(matrix: Matrix) -> None:
    leaks = [
        f"{cell.operation_id} tells {cell.who.name} of {mark!r}\n{cell.text}"
        for cell in (*matrix.cells, *matrix.pages)
        for mark, readers in matrix.marks.items()
        if cell.who.name not in readers and mark in cell.text
    ]
    assert not leaks, "\n\n".join(leaks)


async def test_every_mark_is_there_for_those_who_may_read_it(matrix: Matrix) -> None:
    unread = {
        mark: reader
        for mark, readers in matrix.marks.items()
        for reader in readers
        if not any(mark in cell.text for cell in matrix.cells if cell.who.name == reader)
    }
    assert unread == {}


async def test_pages_and_gateways_look_at_no_token(matrix: Matrix) -> None:
    wanted = {f"{method} {path}": status for (method, path), status in UNDOCUMENTED.items()}
    statuses = {(cell.operation_id, cell.status) for cell in matrix.pages}
    # One status for everybody, and of a page the one that is said.
    assert len(statuses) == len(UNDOCUMENTED) + len(UNMADE)
    assert set(wanted.items()) <= statuses
    assert all(status >= 400 for name, status in statuses if name not in wanted)


async def test_every_change_by_somebody_who_sells_is_in_the_log_and_nothing_else_is(
    matrix: Matrix, contract: Contract
) -> None:
    changing = {operation.id for operation in operations_of(contract) if operation.method != "GET"}
    told = {(entry.request_id, entry.action): entry for entry in matrix.log}
    for cell in matrix.cells:
        access = ACCESS[cell.operation_id]
        entry = told.pop((cell.request_id, cell.operation_id), None)
        is_change = cell.operation_id in changing and access.audience in ("sellers", "selling people")
        if not is_change or expected(cell.operation_id, access, cell.who) != "served":
            assert entry is None, entry
            continue
        assert entry is not None, f"{cell.operation_id} as {cell.who.name} left no entry"
        assert entry.actor_role == cell.who.role
        assert entry.credential == ("api_key" if cell.who.is_key else "token")
        assert (entry.credential_id is not None) == cell.who.is_key
        assert entry.address == HOST
    # What is left is how the marketplace was furnished, and what was made for calls to spend.
    assert {entry.actor for entry in told.values()} <= {SHOP, "zenith"}


async def test_the_log_holds_no_secret_and_nobodys_data(matrix: Matrix) -> None:
    entries = msgspec.json.encode(matrix.log).decode()
    kept = {
        KEY_NAME,
        SHOP,
        *(name for name in matrix.marks if name.startswith(("ord_", "key_", "whe_", "usr_"))),
    }
    assert [mark for mark in matrix.marks if mark in entries and mark not in kept] == []


async def test_a_session_that_ended_is_not_refreshed(matrix: Matrix) -> None:
    assert matrix.refreshed == httpx.codes.UNAUTHORIZED


def _is(status: int, verdict: Verdict) -> bool:
    return status < 400 if verdict == "served" else status == STATUSES[verdict]
