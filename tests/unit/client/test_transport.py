"""Calls are repeated when that is safe, within a deadline, and end in one clear error otherwise."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import BadAnswer, NoAnswer, ProblemError
from pintuan.client.transport import PAUSE_S, RETRY_AFTER_S_MAX, TRIES_MAX
from pintuan.shop.deals.schemas import NewDeal, NewTier
from tests.unit.client.answering import Answer, Answers, client_of, lost, ok, problem, unreachable
from tests.unit.running.demo.samples import deal, group, order

pytestmark = pytest.mark.anyio

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
HELD = ok(order("held", of=group()), 201)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses a client asked for; none is made."""
    asked: list[float] = []

    async def sleep(pause_s: float) -> None:
        asked.append(pause_s)

    monkeypatch.setattr("pintuan.client.transport.asyncio.sleep", sleep)
    return asked


async def test_a_join_carries_token_key_and_body() -> None:
    answers = Answers(HELD)
    async with client_of(answers, token="mei-token") as pintuan:
        joined = await pintuan.join_group("grp_1", WISH, key="key-1")
    (request,) = answers.requests
    assert joined.status == "held"
    assert (request.method, request.url.path) == ("POST", "/v1/groups/grp_1/join")
    assert request.headers["authorization"] == "Bearer mei-token"
    assert request.headers["idempotency-key"] == "key-1"
    assert msgspec.json.decode(request.content)["payment_method"] == "pm_ok"


async def test_a_lost_answer_is_asked_for_again_under_the_same_key_though_none_was_given() -> None:
    answers = Answers(lost, lost, HELD)
    async with client_of(answers) as pintuan:
        await pintuan.join_deal("deal_1", WISH)
        first, *others = answers.headers("idempotency-key")
        assert first
        assert others == [first, first]
        await pintuan.join_deal("deal_1", WISH)
        assert answers.headers("idempotency-key")[-1] != first


async def test_a_call_without_a_key_is_not_repeated_after_a_lost_answer() -> None:
    answers = Answers(lost, ok(deal()))
    async with client_of(answers) as pintuan:
        with pytest.raises(NoAnswer, match="POST /v1/deals had no answer in 1 try"):
            await pintuan.create_deal(DEAL)


async def test_a_call_without_a_key_is_repeated_when_it_never_left() -> None:
    answers = Answers(unreachable, ok(deal(), 201))
    async with client_of(answers) as pintuan:
        assert (await pintuan.create_deal(DEAL)).id == "deal_1"


@pytest.mark.parametrize(
    "busy",
    [
        problem(503, "overloaded", headers={"retry-after": "1"}),
        problem(409, "idempotency_in_flight"),
        problem(429, "rate_limited", headers={"retry-after": "2"}),
    ],
)
async def test_a_busy_marketplace_is_asked_again(busy: Answer) -> None:
    answers = Answers(busy, busy, HELD)
    async with client_of(answers) as pintuan:
        await pintuan.open_group("deal_1", WISH)
    assert len(answers.requests) == 3


async def test_the_wait_asked_for_is_kept(pauses: list[float]) -> None:
    answers = Answers(problem(503, "overloaded", headers={"retry-after": "7"}), ok(group()))
    async with client_of(answers) as pintuan:
        await pintuan.get_group("grp_1")
    assert pauses == [7]


async def test_a_wait_beyond_reason_is_left_to_the_caller() -> None:
    asked = RETRY_AFTER_S_MAX + 1
    answers = Answers(problem(429, "rate_limited", headers={"retry-after": str(asked)}))
    async with client_of(answers) as pintuan:
        with pytest.raises(ProblemError) as refused:
            await pintuan.get_group("grp_1")
    assert refused.value.retry_after_s == asked
    assert len(answers.requests) == 1


async def test_no_wait_goes_beyond_the_deadline(pauses: list[float]) -> None:
    answers = Answers(problem(503, "overloaded", headers={"retry-after": "5"}))
    async with client_of(answers, deadline_s=3) as pintuan:
        with pytest.raises(ProblemError):
            await pintuan.get_group("grp_1")
    assert pauses == []


async def test_pauses_grow_and_tries_are_bounded(pauses: list[float]) -> None:
    answers = Answers(lost)
    async with client_of(answers) as pintuan:
        with pytest.raises(NoAnswer, match=f"in {TRIES_MAX} tries") as silent:
            await pintuan.get_group("grp_1")
    assert (silent.value.tries, len(answers.requests)) == (TRIES_MAX, TRIES_MAX)
    assert len(pauses) == TRIES_MAX - 1
    assert all(PAUSE_S * 2**n >= pause >= PAUSE_S / 2 * 2**n for n, pause in enumerate(pauses))


async def test_a_503_to_a_call_without_a_key_may_have_changed_something() -> None:
    answers = Answers(problem(503, "overloaded"))
    async with client_of(answers) as pintuan:
        with pytest.raises(ProblemError):
            await pintuan.create_deal(DEAL)
    assert len(answers.requests) == 1


async def test_a_refusal_has_its_fields_and_is_not_repeated() -> None:
    members = {"order_id": "ord_9", "errors": [{"field": "quantity", "message": "is too much"}]}
    answers = Answers(problem(409, "already_joined", headers={"x-request-id": "req-1"}, **members))
    async with client_of(answers) as pintuan:
        with pytest.raises(ProblemError) as refused:
            await pintuan.join_deal("deal_1", WISH)
    error = refused.value
    assert (error.code, error.status, error.detail) == ("already_joined", 409, "Words.")
    assert (error.order_id, error.request_id, error.retry_after_s) == ("ord_9", "req-1", None)
    assert [(entry.field, entry.message) for entry in error.errors] == [("quantity", "is too much")]
    assert len(answers.requests) == 1


async def test_an_answer_against_the_contract_is_named() -> None:
    async with client_of(Answers(ok({"id": 7}))) as pintuan:
        with pytest.raises(BadAnswer, match="GET /v1/groups/grp_1 answered 200 against the contract"):
            await pintuan.get_group("grp_1")


async def test_an_answer_of_a_proxy_is_no_problem_document() -> None:
    answers = Answers(lambda _request: httpx.Response(502, text="<html>"))
    async with client_of(answers) as pintuan:
        with pytest.raises(BadAnswer, match="answered 502"):
            await pintuan.get_group("grp_1")


async def test_ids_stay_one_segment_of_the_path() -> None:
    answers = Answers(ok(group()))
    async with client_of(answers) as pintuan:
        await pintuan.get_group("../orders?x=1#y")
    assert answers.requests[0].url.raw_path == b"/v1/groups/..%2Forders%3Fx%3D1%23y"


async def test_a_feed_is_sent_as_it_is() -> None:
    answers = Answers(ok({"rows": 0}))
    async with client_of(answers) as pintuan:
        with pytest.raises(BadAnswer):
            await pintuan.import_feed(b"id,title", media_type="text/csv", currency="EUR")
    (request,) = answers.requests
    assert (request.content, request.headers["content-type"]) == (b"id,title", "text/csv")
    assert request.url.query == b"currency=EUR"
