"""A marketplace that answers as a test says, and a client of it that never really waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec

from pintuan.client import Pintuan, open_client

Answer = Callable[[httpx.Request], httpx.Response]
URL = "http://shop.example"


class Answers:
    """Answers with each in turn, then with the last for ever; `requests` are those that came."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answers[min(len(self.requests), len(self._answers)) - 1](request)

    def headers(self, name: str) -> list[str | None]:
        """The header of each request."""
        return [request.headers.get(name) for request in self.requests]


@asynccontextmanager
async def client_of(
    answers: Answers, *, token: str | None = None, refresh_token: str | None = None, deadline_s: float = 60.0
) -> AsyncIterator[Pintuan]:
    transport = httpx.MockTransport(answers)
    async with open_client(
        URL, token=token, refresh_token=refresh_token, transport=transport, deadline_s=deadline_s
    ) as pintuan:
        yield pintuan


def ok(value: object, status: int = 200) -> Answer:
    return lambda _request: httpx.Response(status, content=msgspec.json.encode(value))


def problem(status: int, code: str, *, headers: dict[str, str] | None = None, **members: object) -> Answer:
    body = {"code": code, "detail": "Words.", "status": status} | members
    return lambda _request: httpx.Response(status, json=body, headers=headers)


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer", request=request)


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)
