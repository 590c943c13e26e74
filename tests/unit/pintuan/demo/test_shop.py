"""Calls are repeated when that is safe, and end in one clear error otherwise."""

from collections.abc import Callable

import httpx
import msgspec
import pytest

from pintuan.auth import Role
from pintuan.deals.schemas import NewDeal, NewTier
from pintuan.demo import shop as shop_module
from pintuan.demo.errors import Refusal, ShopError
from pintuan.demo.shop import TRIES_MAX, Shop
from pintuan.orders.schemas import NewOrder
from tests.unit.pintuan.demo.samples import deal, group, order

pytestmark = pytest.mark.anyio

TOKENS: dict[tuple[Role, str], str] = {("buyer", "mei"): "mei-token", ("merchant", "acme"): "acme-token"}
WISH = NewOrder(payment_method="pm_ok")
DEAL = NewDeal(
    variant_id="var_1",
    ladder=[NewTier(2, 900)],
    min_headcount=2,
    max_headcount=4,
    group_ttl_seconds=60,
    stock=5,
    per_buyer_units=1,
)

Answer = Callable[[httpx.Request], httpx.Response]


class Counter:
    """Answers with each of `answers` in turn, then with the last for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answers[min(len(self.requests), len(self._answers)) - 1](request)


def ok(value: object) -> Answer:
    return lambda _request: httpx.Response(200, content=msgspec.json.encode(value))


def problem(status: int, code: str, **headers: str) -> Answer:
    body = {"code": code, "detail": "Words.", "status": status}
    return lambda _request: httpx.Response(status, json=body, headers=headers)


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer", request=request)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_module, "RETRY_PAUSE_S", 0.0)
    monkeypatch.setattr(shop_module, "RETRY_PAUSE_S_MAX", 0.0)


def shop_on(answers: Counter) -> Shop:
    client = httpx.AsyncClient(base_url="http://shop.example", transport=httpx.MockTransport(answers))
    return Shop(client, TOKENS)


async def test_a_join_carries_token_key_and_body() -> None:
    answers = Counter(ok(order("held", of=group())))
    joined = await shop_on(answers).join_group("grp_1", "mei", WISH, "key-1")
    (request,) = answers.requests
    assert joined.status == "held"
    assert request.url.path == "/v1/groups/grp_1/join"
    assert request.headers["authorization"] == "Bearer mei-token"
    assert request.headers["idempotency-key"] == "key-1"
    assert msgspec.json.decode(request.content)["payment_method"] == "pm_ok"


async def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    answers = Counter(lost, ok(order("held", of=group())))
    await shop_on(answers).join_group("grp_1", "mei", WISH, "key-1")
    assert [request.headers["idempotency-key"] for request in answers.requests] == ["key-1", "key-1"]


async def test_a_call_without_a_key_is_not_repeated_after_a_lost_answer() -> None:
    answers = Counter(lost, ok(deal()))
    with pytest.raises(ShopError, match="POST /v1/deals had no answer"):
        await shop_on(answers).offer("acme", DEAL)
    assert len(answers.requests) == 1


@pytest.mark.parametrize(
    "busy", [problem(503, "overloaded", **{"retry-after": "1"}), problem(409, "idempotency_in_flight")]
)
async def test_a_busy_marketplace_is_asked_again(busy: Answer) -> None:
    answers = Counter(busy, busy, ok(order("held", of=group())))
    await shop_on(answers).open_group("deal_1", "mei", WISH, "key-1")
    assert len(answers.requests) == 3


async def test_a_marketplace_that_stays_busy_is_given_up() -> None:
    answers = Counter(problem(503, "overloaded"))
    with pytest.raises(ShopError, match="answered 503"):
        await shop_on(answers).group("grp_1")
    assert len(answers.requests) == TRIES_MAX


async def test_a_refusal_keeps_its_code_and_is_not_repeated() -> None:
    answers = Counter(problem(409, "sold_out"))
    with pytest.raises(Refusal) as refused:
        await shop_on(answers).join_deal("deal_1", "mei", WISH, "key-1")
    assert (refused.value.code, refused.value.detail) == ("sold_out", "Words.")
    assert len(answers.requests) == 1


async def test_an_answer_against_the_contract_is_an_error() -> None:
    with pytest.raises(ShopError, match="against the contract"):
        await shop_on(Counter(ok({"id": 7}))).group("grp_1")


async def test_an_answer_that_is_no_problem_document_is_an_error() -> None:
    with pytest.raises(ShopError, match="answered 404"):
        await shop_on(Counter(lambda _request: httpx.Response(404, text="<html>"))).group("grp_1")


async def test_products_that_are_not_there_point_at_the_database() -> None:
    answers = Counter(ok({"items": [], "next_cursor": None}))
    with pytest.raises(ShopError, match="PINTUAN_DATABASE_URL"):
        await shop_on(answers).products_of("acme", 1)
