"""What a caller is told when a request is refused before any noun looks at it."""

import base64
import json
import re
import time
from typing import Any

import httpx
import jwt
import pytest

from pintuan.base.auth import Role
from pintuan.base.auth.tokens import AUDIENCE, ISSUER, LIFETIME_S, TokenIssuer
from pintuan.base.keyring import Keyring
from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import Settings
from pintuan.http.bodies import BODY_SIZE_MAX
from tests.acceptance.shoppers import Bearer

pytestmark = pytest.mark.anyio

PRODUCT: dict[str, Any] = {
    "title": "Kettle",
    "description": "Boils a litre.",
    "images": [],
    "variants": [{"sku": "K-1", "title": "Red", "list_price": {"amount": 1999, "currency": "USD"}}],
}


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"/docs/problems#{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_a_caller_without_a_token_is_asked_for_one(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/products", json=PRODUCT)

    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_buyer_may_not_do_what_merchants_do(api: httpx.AsyncClient, bearer: Bearer) -> None:
    response = await api.post("/v1/products", json=PRODUCT, headers=bearer("buyer", "ann"))

    assert_problem(response, 403, "forbidden")


@pytest.mark.parametrize("role", ["merchant", "admin"])
async def test_a_merchant_and_an_admin_may(api: httpx.AsyncClient, bearer: Bearer, role: Role) -> None:
    response = await api.post("/v1/products", json=PRODUCT, headers=bearer(role, "teahouse"))

    assert response.status_code == 201


def forged(settings: Settings, **changes: Any) -> str:
    now_s = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "teahouse",
        "role": "merchant",
        "jti": "1",
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
    }
    keyring = keyring_of(settings)
    key = keyring.subkey("access-token")
    return jwt.encode(claims | changes, key, algorithm="HS256", headers={"kid": keyring.kid})


def unsigned() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now_s = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "teahouse", "role": "admin", "jti": "1"}
    return f"{part({'alg': 'none'})}.{part({**claims, 'iat': now_s, 'exp': now_s + 60})}."


@pytest.mark.parametrize("path", ["/v1/products", "/v1/products/prd_1"])
@pytest.mark.parametrize("kind", ["other key", "unsigned", "expired", "future", "other audience", "basic"])
async def test_a_token_that_does_not_verify_ends_even_a_public_call(
    api: httpx.AsyncClient, settings: Settings, kind: str, path: str
) -> None:
    now_s = int(time.time())
    headers = {
        "other key": f"Bearer {TokenIssuer(Keyring('k' * 40)).issue('ann', 'admin', now_s=now_s)}",
        "unsigned": f"Bearer {unsigned()}",
        "expired": f"Bearer {forged(settings, iat=now_s - 1000, exp=now_s - 100)}",
        "future": f"Bearer {forged(settings, iat=now_s + 100, exp=now_s + 200)}",
        "other audience": f"Bearer {forged(settings, aud='else')}",
        "basic": "Basic YW5uOnB3",
    }

    response = await api.get(path, headers={"Authorization": headers[kind]})

    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_an_unknown_path_is_not_found(api: httpx.AsyncClient) -> None:
    assert_problem(await api.get("/v1/nothing/here"), 404, "not_found")


async def test_an_unknown_id_is_not_found(api: httpx.AsyncClient) -> None:
    assert_problem(await api.get("/v1/products/prd_0"), 404, "not_found")


async def test_a_method_a_path_does_not_have_is_named_with_those_it_has(api: httpx.AsyncClient) -> None:
    response = await api.put("/v1/products", json={})

    assert_problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(re.findall("[A-Z]+", response.headers["allow"]))


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", None])
async def test_a_body_that_is_not_json_by_its_type_is_refused(
    api: httpx.AsyncClient, bearer: Bearer, content_type: str | None
) -> None:
    headers = bearer("merchant", "teahouse") | ({"Content-Type": content_type} if content_type else {})

    response = await api.post("/v1/products", content=json.dumps(PRODUCT), headers=headers)

    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_above_the_limit_is_too_large(
    api: httpx.AsyncClient, bearer: Bearer, chunked: bool
) -> None:
    text = json.dumps(PRODUCT | {"description": "x" * BODY_SIZE_MAX}).encode()

    async def chunks() -> Any:
        yield text

    response = await api.post(
        "/v1/products",
        content=chunks() if chunked else text,
        headers=bearer("merchant", "teahouse") | {"Content-Type": "application/json"},
    )

    assert_problem(response, 413, "too_large")


@pytest.mark.parametrize("text", ['{"title": ', "not json", "\ufeff{}", "{'title': 1}", "[1,]"])
async def test_text_that_is_not_json_is_invalid(api: httpx.AsyncClient, bearer: Bearer, text: str) -> None:
    response = await api.post(
        "/v1/products",
        content=text,
        headers=bearer("merchant", "teahouse") | {"Content-Type": "application/json"},
    )

    problem = assert_problem(response, 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["body"]


async def test_a_missing_body_is_invalid(api: httpx.AsyncClient, bearer: Bearer) -> None:
    response = await api.post("/v1/products", headers=bearer("merchant", "teahouse"))

    problem = assert_problem(response, 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["body"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"title": 1}, "title"),
        (
            {"variants": [{"sku": "K", "title": "R", "list_price": {"amount": "1", "currency": "USD"}}]},
            "variants[0].list_price.amount",
        ),
        ({"variants": [{"sku": "K", "title": "R"}]}, "variants[0].list_price"),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    api: httpx.AsyncClient, bearer: Bearer, changes: dict[str, Any], field: str
) -> None:
    response = await api.post("/v1/products", json=PRODUCT | changes, headers=bearer("merchant", "teahouse"))

    problem = assert_problem(response, 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor")],
)
async def test_a_parameter_that_does_not_fit_is_named(api: httpx.AsyncClient, query: str, field: str) -> None:
    problem = assert_problem(await api.get(f"/v1/products?{query}"), 400, "invalid")

    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("name", ["fbclid", "utm_source", "utm_campaign", "gclid", "mc_cid", "igshid"])
async def test_a_read_ignores_what_trackers_add_to_links(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.get("/v1/deals", params={name: "IwAR0", "limit": 1})).status_code == 200
    # Nobody passes such a call on as a link.
    answer = await api.post("/v1/auth/otp", params={name: "IwAR0"}, json={"email": "ann@example.test"})
    assert assert_problem(answer, 400, "invalid")["errors"] == [
        {"field": name, "message": "is not a parameter of this call"}
    ]


@pytest.mark.parametrize("path", ["/health/live", "/v1/nothing"])
async def test_a_request_id_is_echoed(api: httpx.AsyncClient, path: str) -> None:
    response = await api.get(path, headers={"X-Request-Id": "trace-1.a:b"})

    assert response.headers["x-request-id"] == "trace-1.a:b"


@pytest.mark.parametrize("sent", [None, "", "two words", "x" * 129, 'a"b'])
async def test_a_request_without_a_sane_id_gets_one(api: httpx.AsyncClient, sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent}

    first = await api.get("/health/live", headers=headers)
    second = await api.get("/health/live", headers=headers)

    assert re.fullmatch("[0-9a-f]{24}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
