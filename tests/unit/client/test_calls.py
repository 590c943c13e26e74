"""The client has a method for every operation of the contract, goes through lists, and needs no server."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.client import Pintuan, every
from pintuan.client import pages as pages_module
from pintuan.client.pages import EndlessList
from tests.unit.client.answering import Answers, client_of, ok
from tests.unit.running.demo.samples import deal

SERVER_LIBRARIES = {"litestar", "asyncpg", "redis", "arq", "uvicorn", "structlog", "prometheus_client"}
SECRET_KEY = "a key that signs tokens in tests and nowhere else"


def operations() -> dict[str, dict[str, Any]]:
    document = json.loads(create_app(Settings(secret_key=SECRET_KEY)).state.openapi())
    found = [operation for item in document["paths"].values() for operation in item.values()]
    return {operation["operationId"]: operation for operation in found}


def test_every_operation_of_the_contract_has_its_method() -> None:
    methods = {
        name for name, _ in inspect.getmembers(Pintuan, inspect.isfunction) if not name.startswith("_")
    }
    assert set(operations()) - methods == set()
    # What is there beside the operations is for the caller's convenience.
    assert methods - set(operations()) == {"calling_as", "sign_in", "sign_out"}


def test_every_parameter_of_an_operation_is_one_of_its_method() -> None:
    missing = {
        f"{name}: {parameter['name']}"
        for name, operation in operations().items()
        for parameter in operation.get("parameters", [])
        if parameter["in"] in ("path", "query")
        and parameter["name"] not in inspect.signature(getattr(Pintuan, name)).parameters
    }
    # There is one value so far; and the client sends the id of an event as a header.
    assert missing == {"list_joinable_groups: status", "watch_group: lastEventId"}


def test_every_method_says_what_it_does() -> None:
    methods = inspect.getmembers(Pintuan, inspect.isfunction)
    assert [name for name, method in methods if not name.startswith("_") and not method.__doc__] == []


def test_the_client_loads_nothing_of_the_server() -> None:
    script = "import sys, pintuan.client; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own.
    assert SERVER_LIBRARIES & set(loaded.stdout.split()) == set()


@pytest.mark.anyio
async def test_a_list_is_gone_through_page_by_page() -> None:
    answers = Answers(
        ok({"items": [deal("one"), deal("two")], "next_cursor": "c1"}),
        ok({"items": [deal("three")], "next_cursor": None}),
    )
    async with client_of(answers) as pintuan:
        titles = [deal.title async for deal in every(pintuan.list_deals, status="active", limit=2)]
    assert titles == ["one", "two", "three"]
    queries = [dict(request.url.params) for request in answers.requests]
    assert queries == [{"status": "active", "limit": "2"}, {"status": "active", "limit": "2", "cursor": "c1"}]


@pytest.mark.anyio
async def test_a_list_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "PAGES_MAX", 3)
    answers = Answers(ok({"items": [], "next_cursor": "again"}))
    async with client_of(answers) as pintuan:
        with pytest.raises(EndlessList):
            async for _ in every(pintuan.list_products):
                pass
    assert len(answers.requests) == 3


@pytest.mark.anyio
async def test_health_and_metrics_are_asked_without_a_token() -> None:
    answers = Answers(ok({"status": "live"}), lambda _request: httpx.Response(200, text="up 1"))
    async with client_of(answers, token="ann") as pintuan:
        assert (await pintuan.live()).status == "live"
        assert await pintuan.read_metrics() == "up 1"
    assert answers.headers("authorization") == [None, None]


@pytest.mark.anyio
async def test_a_spreadsheet_comes_in_parts() -> None:
    link = {"link": '</v1/merchant/orders.csv?limit=1&cursor=c2>; rel="next"'}
    answers = Answers(
        lambda _request: httpx.Response(200, text="id\r\nord_1", headers=link),
        lambda _request: httpx.Response(200, text="id\r\nord_2"),
    )
    async with client_of(answers, token="acme") as pintuan:
        first = await pintuan.export_sales(created_from=datetime(2030, 1, 1, tzinfo=UTC))
        second = await pintuan.export_sales(cursor=first.next_cursor)
    assert (first.content, first.next_cursor, second.next_cursor) == (b"id\r\nord_1", "c2", None)
    assert [dict(request.url.params) for request in answers.requests] == [
        {"created_from": "2030-01-01T00:00:00+00:00"},
        {"cursor": "c2"},
    ]
