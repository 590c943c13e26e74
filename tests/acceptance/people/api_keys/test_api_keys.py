"""Merchants' API keys over HTTP: made, shown once, used, bounded, and gone when they are deleted."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from pintuan.base.auth import Role
from pintuan.people.api_keys.limits import KEYS_PER_MERCHANT_MAX, NAME_CHARS_MAX
from tests.acceptance.shoppers import Bearer, refused

pytestmark = pytest.mark.anyio

PATH = "/v1/merchant/api-keys"
PRODUCT: dict[str, Any] = {
    "title": "Kettle",
    "variants": [{"sku": "K-1", "title": "Red", "list_price": {"amount": 1999, "currency": "USD"}}],
}
UNKNOWN = f"ptk_{'0' * 32}_{'0' * 64}"


@pytest.fixture
def acme(bearer: Bearer) -> dict[str, str]:
    return bearer("merchant", "acme")


async def make_key(api: httpx.AsyncClient, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"name": "stock sync"} | fields, headers=headers)
    assert response.status_code == 201, response.text
    key: dict[str, Any] = response.json()
    return key


def using(key: dict[str, Any] | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key if isinstance(key, str) else key['key']}"}


async def test_a_key_is_shown_once_and_listed_without_its_secret(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    made = await make_key(api, acme)

    assert re.fullmatch("ptk_[0-9a-f]{32}_[0-9a-f]{64}", made["key"])
    listed = await api.get(PATH, headers=acme)
    shown = {name: value for name, value in made.items() if name != "key"}
    assert listed.json() == {"items": [shown], "next_cursor": None}
    assert (made["expires_at"], made["last_used_at"]) == (None, None)


async def test_a_key_acts_as_its_merchant(api: httpx.AsyncClient, acme: dict[str, str]) -> None:
    key = await make_key(api, acme)

    response = await api.post("/v1/products", json=PRODUCT, headers=using(key))

    assert response.status_code == 201
    assert response.json()["merchant_id"] == "acme"
    refused(await api.get("/v1/orders", headers=using(key)), 403, "forbidden")


async def test_postgres_keeps_no_secret(
    api: httpx.AsyncClient, acme: dict[str, str], pool: asyncpg.Pool
) -> None:
    secret = (await make_key(api, acme))["key"].rsplit("_", 1)[1]

    kept: str = await pool.fetchval("SELECT k::text FROM api_keys k")

    assert "acme" in kept
    assert secret not in kept


async def test_a_key_may_list_keys_and_neither_make_nor_delete_them(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    key = await make_key(api, acme)

    assert (await api.get(PATH, headers=using(key))).status_code == 200
    refused(await api.post(PATH, json={"name": "another"}, headers=using(key)), 403, "forbidden")
    refused(await api.delete(f"{PATH}/{key['id']}", headers=using(key)), 403, "forbidden")


async def test_a_deleted_key_is_refused_at_once_where_it_was_deleted(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    key = await make_key(api, acme)
    assert (await api.get(PATH, headers=using(key))).status_code == 200

    deleted = await api.delete(f"{PATH}/{key['id']}", headers=acme)

    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(await api.get(PATH, headers=using(key)), 401, "unauthenticated")
    assert (await api.get(PATH, headers=acme)).json()["items"] == []
    refused(await api.delete(f"{PATH}/{key['id']}", headers=acme), 404, "not_found")


async def test_another_process_refuses_a_deleted_key_when_it_looks_again(
    api: httpx.AsyncClient,
    another_api: httpx.AsyncClient,
    acme: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pintuan.base.auth.verifier.API_KEY_REMEMBERED_S", 0.0)
    key = await make_key(api, acme)
    assert (await another_api.get(PATH, headers=using(key))).status_code == 200

    await api.delete(f"{PATH}/{key['id']}", headers=acme)

    refused(await another_api.get(PATH, headers=using(key)), 401, "unauthenticated")


async def test_a_use_is_noted_and_the_next_one_within_a_minute_is_not(
    api: httpx.AsyncClient,
    acme: dict[str, str],
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pintuan.base.auth.verifier.API_KEY_REMEMBERED_S", 0.0)
    key = await make_key(api, acme)

    async def last_used_after_a_use() -> str:
        await api.get(PATH, headers=using(key))
        item: dict[str, str] = (await api.get(PATH, headers=acme)).json()["items"][0]
        return item["last_used_at"]

    first = await last_used_after_a_use()
    assert first is not None
    assert await last_used_after_a_use() == first
    await pool.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'")
    assert await last_used_after_a_use() > first


async def test_a_key_ends_when_it_says(
    api: httpx.AsyncClient, acme: dict[str, str], pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.base.auth.verifier.API_KEY_REMEMBERED_S", 0.0)
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    key = await make_key(api, acme, expires_at=expires_at)
    assert key["expires_at"] == expires_at
    assert (await api.get(PATH, headers=using(key))).status_code == 200

    await pool.execute(
        "UPDATE api_keys SET created_at = created_at - interval '2 hours', expires_at = app_now()"
    )

    refused(await api.get(PATH, headers=using(key)), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * (NAME_CHARS_MAX + 1)}, "name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, "expires_at"),
        ({"role": "admin"}, "role"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused_by_field(
    api: httpx.AsyncClient, acme: dict[str, str], change: dict[str, Any], field: str
) -> None:
    response = await api.post(PATH, json={"name": "stock sync"} | change, headers=acme)

    problem = refused(response, 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_merchant_has_no_more_keys_than_the_limit_even_at_once(
    api: httpx.AsyncClient, acme: dict[str, str], bearer: Bearer
) -> None:
    answers = await asyncio.gather(
        *(
            api.post(PATH, json={"name": f"key {number}"}, headers=acme)
            for number in range(KEYS_PER_MERCHANT_MAX + 5)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [201] * KEYS_PER_MERCHANT_MAX + [409] * 5
    refused(await api.post(PATH, json={"name": "more"}, headers=acme), 409, "limit_reached")
    await make_key(api, bearer("merchant", "globex"))
    listed = (await api.get(f"{PATH}?limit=15", headers=acme)).json()
    rest = (await api.get(f"{PATH}?limit=15&cursor={listed['next_cursor']}", headers=acme)).json()
    assert len({key["id"] for key in listed["items"] + rest["items"]}) == KEYS_PER_MERCHANT_MAX
    assert rest["next_cursor"] is None
    await api.delete(f"{PATH}/{listed['items'][0]['id']}", headers=acme)
    await make_key(api, acme)


async def test_somebody_elses_key_is_not_there(
    api: httpx.AsyncClient, acme: dict[str, str], bearer: Bearer
) -> None:
    key = await make_key(api, acme)
    globex = bearer("merchant", "globex")

    assert (await api.get(PATH, headers=globex)).json()["items"] == []
    refused(await api.delete(f"{PATH}/{key['id']}", headers=globex), 404, "not_found")
    assert (await api.get(PATH, headers=using(key))).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("role", "status"), [("buyer", 403), (None, 401)])
async def test_keys_are_for_merchants(
    api: httpx.AsyncClient, bearer: Bearer, method: str, role: Role | None, status: int
) -> None:
    headers = bearer(role, "ann") if role else {}
    response = await api.request(
        method, PATH, json={"name": "k"} if method == "POST" else None, headers=headers
    )

    refused(response, status, "forbidden" if role else "unauthenticated")


async def test_what_is_no_key_is_refused_even_on_a_public_call(
    api: httpx.AsyncClient, acme: dict[str, str]
) -> None:
    key = (await make_key(api, acme))["key"]
    for text in (
        UNKNOWN,
        "ptk_",
        key[:-1],
        key + "0",
        key.upper(),
        f"{key[:-64]}{'0' * 64}",
        f"{UNKNOWN[:-64]}{key[-64:]}",
        f"{key} {key}",
    ):
        refused(await api.get("/v1/deals", headers=using(text)), 401, "unauthenticated")
