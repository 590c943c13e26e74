"""Every exception that may end a request has its status, its code and its headers."""

import inspect

import asyncpg
import pytest
import redis.exceptions
from litestar import exceptions as http
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

import pintuan.app  # noqa: F401 - the composition root adds what nouns refuse
from groups import errors as refusals
from pintuan.base import errors
from pintuan.http.problems import NOT_FOUND, Kind, add_kinds, kinds, problem_of

CONTRACT = {
    400: {"invalid", "idempotency_key_missing"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {"not_found"},
    409: {
        "group_full",
        "group_closed",
        "already_joined",
        "limit_reached",
        "sold_out",
        "deal_not_active",
        "idempotency_in_flight",
        "cancel_locked",
        "not_cancellable",
        "offer_changed",
    },
    413: {"too_large"},
    415: {"unsupported_media_type"},
    422: {"idempotency_key_reused"},
    429: {"rate_limited"},
    503: {"overloaded"},
}


def test_every_code_of_the_contract_is_there_with_its_status() -> None:
    rows = {(kind.status, kind.code) for kind in kinds()}

    assert {(status, code) for status, codes in CONTRACT.items() for code in codes} <= rows


@pytest.mark.parametrize(
    "refusal",
    [
        cls
        for _, cls in inspect.getmembers(refusals, inspect.isclass)
        if cls.__module__ == refusals.__name__ and not cls.__subclasses__()
    ],
)
def test_no_refusal_of_the_engine_is_answered_as_a_fault_of_the_server(
    refusal: type[refusals.GroupsError],
) -> None:
    problem, _ = problem_of(refusal("in words"))

    assert problem.status < 500 or problem.code == "overloaded"
    assert problem.code != "internal"


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        (errors.InvalidInput.of("title", "is too long"), 400, "invalid"),
        (errors.IdempotencyKeyMissing(), 400, "idempotency_key_missing"),
        (errors.Unauthenticated(), 401, "unauthenticated"),
        (errors.Forbidden(), 403, "forbidden"),
        (errors.NotFound("deal"), 404, "not_found"),
        (http.NotFoundException(), 404, "not_found"),
        (http.MethodNotAllowedException(), 405, "method_not_allowed"),
        (RequestEntityTooLarge(), 413, "too_large"),
        (errors.UnsupportedMediaType(), 415, "unsupported_media_type"),
        (asyncpg.ConnectionDoesNotExistError("gone"), 503, "overloaded"),
        (asyncpg.QueryCanceledError("statement timeout"), 503, "overloaded"),
        (asyncpg.LockNotAvailableError("lock timeout"), 503, "overloaded"),
        (asyncpg.TooManyConnectionsError("full"), 503, "overloaded"),
        (asyncpg.DeadlockDetectedError("deadlock"), 503, "overloaded"),
        (asyncpg.InterfaceError("connection is closed"), 503, "overloaded"),
        (asyncpg.InterfaceError("the server expects 1 argument"), 500, "internal"),
        (asyncpg.UniqueViolationError("duplicate"), 500, "internal"),
        (redis.exceptions.ConnectionError("refused"), 503, "overloaded"),
        (redis.exceptions.TimeoutError("slow"), 503, "overloaded"),
        (ConnectionRefusedError(), 503, "overloaded"),
        (TimeoutError(), 503, "overloaded"),
        (ConnectionRefusedError(111, "Connection refused"), 503, "overloaded"),
        (FileNotFoundError(2, "No such file or directory"), 503, "overloaded"),
        (OSError(113, "No route to host"), 503, "overloaded"),
        (asyncpg.InternalClientError("another operation (2) is in progress"), 503, "overloaded"),
        (KeyError("boom"), 500, "internal"),
    ],
    ids=repr,
)
def test_an_exception_is_answered_by_the_table(exc: Exception, status: int, code: str) -> None:
    problem, headers = problem_of(exc)

    assert (problem.status, problem.code) == (status, code)
    assert problem.type == f"/docs/problems#{code}"
    assert ("retry-after" in headers) == (status == 503)


def test_a_fault_says_nothing_about_the_inside() -> None:
    problem, _ = problem_of(RuntimeError("password of postgresql://u:secret@db"))

    assert "secret" not in f"{problem}"


def test_trouble_with_a_store_says_nothing_about_the_inside() -> None:
    problem, _ = problem_of(asyncpg.ConnectionDoesNotExistError("host db-7.internal is gone"))

    assert "db-7" not in f"{problem}"


def test_a_rate_limit_says_when_to_come_back() -> None:
    problem, headers = problem_of(refusals.RateLimited("too fast", retry_after_s=7))

    assert (problem.status, headers["retry-after"]) == (429, "7")


def test_a_join_of_a_member_names_the_order_they_have() -> None:
    problem, _ = problem_of(refusals.AlreadyJoined("ord_1"))

    assert (problem.code, problem.order_id) == ("already_joined", "ord_1")


def test_invalid_input_names_its_fields() -> None:
    problem, _ = problem_of(errors.InvalidInput.of("ladder[0].headcount", "must be at least 1"))

    assert problem.errors == [errors.FieldError("ladder[0].headcount", "must be at least 1")]


def test_a_missing_token_is_challenged_without_blaming_one() -> None:
    _, anonymous = problem_of(errors.Unauthenticated())
    _, forged = problem_of(errors.Unauthenticated("The access token does not verify."))

    assert anonymous["www-authenticate"] == "Bearer"
    assert forged["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("refusal", "of_the_engine"),
    [
        (errors.LimitReached("enough keys"), refusals.LimitReached("enough keys")),
        (errors.RateLimited("too fast", retry_after_s=7), refusals.RateLimited("too fast", retry_after_s=7)),
        (errors.Overloaded("too much", retry_after_s=7), refusals.Overloaded("too much", retry_after_s=7)),
    ],
)
def test_callers_need_not_know_whether_the_engine_or_a_noun_refuses(
    refusal: errors.Rejected, of_the_engine: refusals.GroupsError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problem_of(refusal) == problem_of(of_the_engine)
    assert capsys.readouterr() == ("", ""), "being busy is told by metrics, and not in the log"


def test_no_two_nouns_answer_the_same_exception() -> None:
    with pytest.raises(ValueError, match="NotFound has its row already"):
        add_kinds({errors.NotFound: NOT_FOUND})


def test_a_code_stands_for_one_problem() -> None:
    class Eaten(errors.Rejected):
        """Somebody was faster."""

    with pytest.raises(ValueError, match="sold_out of Eaten stands for something else"):
        add_kinds({Eaten: Kind(410, "sold_out", "Eaten", "Somebody was faster.")})
    assert problem_of(Eaten("too late"))[0].code == "internal"


def test_a_document_shows_what_its_kind_says_of_the_exception() -> None:
    problem, _ = problem_of(refusals.AlreadyJoined("ord_1"))

    assert (problem.code, problem.order_id) == ("already_joined", "ord_1")
