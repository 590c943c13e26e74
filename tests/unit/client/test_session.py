"""Access tokens are renewed in time, once, whoever needs them."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest

from pintuan.client import ProblemError, open_client
from tests.unit.client.answering import URL, Answers, client_of, ok, problem
from tests.unit.running.demo.samples import order

pytestmark = pytest.mark.anyio


class Marketplace:
    """Takes the newest access token only; refresh tokens `r0`, `r1`, … work once each, in order."""

    def __init__(self, *, expires_in: int = 900) -> None:
        self.expires_in = expires_in
        self.renewals = 0
        self.calls: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path)
        # Others get their turn in the meantime, as they would over a network.
        await asyncio.sleep(0)
        if request.url.path == "/v1/auth/token":
            return self._renew(msgspec.json.decode(request.content))
        if request.headers.get("authorization") != f"Bearer a{self.renewals}":
            return problem(401, "unauthenticated")(request)
        return ok(order())(request)

    def _renew(self, grant: dict[str, str]) -> httpx.Response:
        if grant.get("refresh_token") != f"r{self.renewals}" and grant.get("code") != "123456":
            return httpx.Response(401, json={"code": "unauthenticated", "detail": "Words."})
        self.renewals += 1
        tokens = {
            "access_token": f"a{self.renewals}",
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": f"r{self.renewals}",
            "refresh_expires_in": 3600,
        }
        return httpx.Response(200, json=tokens)


async def test_a_refresh_token_alone_is_enough() -> None:
    marketplace = Marketplace()
    async with open_client(URL, refresh_token="r0", transport=httpx.MockTransport(marketplace)) as pintuan:
        await pintuan.get_order("ord_1")
        assert (pintuan.session.token, pintuan.session.refresh_token) == ("a1", "r1")
    assert marketplace.calls == ["/v1/auth/token", "/v1/orders/ord_1"]


async def test_a_token_that_is_refused_is_renewed_once_for_all_who_were_refused() -> None:
    marketplace = Marketplace()
    async with open_client(
        URL, token="stale", refresh_token="r0", transport=httpx.MockTransport(marketplace)
    ) as pintuan:
        await asyncio.gather(*(pintuan.get_order(f"ord_{number}") for number in range(10)))
    assert marketplace.renewals == 1


async def test_a_token_about_to_run_out_is_renewed_before_it_is_refused() -> None:
    marketplace = Marketplace(expires_in=10)
    async with open_client(URL, refresh_token="r0", transport=httpx.MockTransport(marketplace)) as pintuan:
        await pintuan.get_order("ord_1")
        await pintuan.get_order("ord_2")
    assert marketplace.renewals == 2


async def test_signing_in_by_a_code_begins_a_session_and_signing_out_ends_it() -> None:
    marketplace = Marketplace()
    async with open_client(URL, transport=httpx.MockTransport(marketplace)) as pintuan:
        with pytest.raises(ProblemError):
            await pintuan.get_order("ord_1")
        await pintuan.sign_in("123456", email="ann@example.com")
        await pintuan.get_order("ord_1")
    answers = Answers(lambda _request: httpx.Response(204))
    async with client_of(answers, token="a1", refresh_token="r1") as pintuan:
        await pintuan.sign_out()
        assert (pintuan.session.token, pintuan.session.refresh_token) == (None, None)
    assert msgspec.json.decode(answers.requests[0].content) == {"refresh_token": "r1"}


async def test_a_refusal_that_no_renewal_mends_is_told() -> None:
    answers = Answers(problem(401, "unauthenticated"))
    async with client_of(answers, token="key") as pintuan:
        with pytest.raises(ProblemError) as refused:
            await pintuan.list_orders()
    assert (refused.value.code, len(answers.requests)) == ("unauthenticated", 1)


async def test_a_session_that_is_over_is_not_renewed_again() -> None:
    answers = Answers(problem(401, "unauthenticated"))
    async with client_of(answers, token="a1", refresh_token="spent") as pintuan:
        for _ in range(2):
            with pytest.raises(ProblemError):
                await pintuan.list_orders()
    paths = [request.url.path for request in answers.requests]
    assert paths == ["/v1/orders", "/v1/auth/token", "/v1/orders"]


async def test_others_call_over_the_same_connections_with_their_own_tokens() -> None:
    answers = Answers(ok(order()))
    async with client_of(answers, token="ann") as pintuan:
        bob = pintuan.calling_as("bob")
        await pintuan.get_order("ord_1")
        await bob.get_order("ord_1")
        await pintuan.calling_as(None).get_order("ord_1")
        assert bob.session.transport is pintuan.session.transport
    assert answers.headers("authorization") == ["Bearer ann", "Bearer bob", None]
