"""Load from a process of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import Phase
from benchmarks.load_process import LoadError, loaded
from tests.unit.benchmarks.test_generate import always_created, requests, server

if TYPE_CHECKING:
    from asyncio import StreamWriter

pytestmark = pytest.mark.anyio


async def test_it_makes_the_calls_only_when_it_is_told_to() -> None:
    seen: list[bytes] = []

    async def answer(path: bytes, writer: StreamWriter) -> None:
        seen.append(path)
        await always_created(path, writer)

    async with server(answer) as port:
        phase = Phase(port=port, requests=requests(5), count=5, connections=2)
        async with loaded(phase, frozenset()) as load:
            before = list(seen)
            outcome = await load.run()

    assert before == []
    assert outcome.statuses == {201: 5}
    assert outcome.client_cpu_s > 0


async def test_it_ends_without_a_call_when_nobody_tells_it_to_begin() -> None:
    seen: list[bytes] = []

    async def answer(path: bytes, _writer: StreamWriter) -> None:
        seen.append(path)

    async with (
        server(answer) as port,
        asyncio.timeout(30),
        loaded(Phase(port=port, requests=requests(5), count=5, connections=2), frozenset()),
    ):
        pass

    assert seen == []


async def test_a_server_that_is_not_there_is_told() -> None:
    async with server(always_created) as port:
        pass

    with pytest.raises(LoadError, match="ended"):
        async with loaded(Phase(port=port, requests=requests(1), count=1, connections=1), frozenset()):
            pass
