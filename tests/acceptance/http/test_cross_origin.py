"""Web pages of other hosts call the API where the settings name them, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer
from tests.market import Market

pytestmark = pytest.mark.anyio

APP = "https://app.shop.example"
STRANGER = "https://elsewhere.example"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}


@pytest.fixture
def origins() -> tuple[str, ...]:
    return (APP,)


@pytest.fixture
async def api(
    settings: Settings, origins: tuple[str, ...], contract: Contract
) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(msgspec.structs.replace(settings, cors_origins=origins), contract) as client:
        yield client


async def test_a_page_that_is_named_may_ask_send_and_read(
    api: httpx.AsyncClient, market: Market, bearer: Bearer
) -> None:
    path = f"/v1/deals/{await market.deal()}/join"

    asked = await api.options(path, headers={"Origin": APP} | ASKS)
    joined = await api.post(
        path,
        json={"payment_method": "pm_ok"},
        headers={"Origin": APP, "Idempotency-Key": "k"} | bearer("buyer", "ann"),
    )

    assert asked.headers["access-control-allow-origin"] == APP
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "idempotency-key" in asked.headers["access-control-allow-headers"]
    assert joined.status_code == 201, joined.text
    assert joined.headers["access-control-allow-origin"] == APP
    assert "etag" in joined.headers["access-control-expose-headers"]
    for answer in (asked, joined):
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/deals", "/v1/orders", "/v1/nothing", "/v1/deals?limit=x"])
async def test_refusals_can_be_read_as_well(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path, headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert "origin" in answer.headers["vary"]


async def test_a_page_that_is_not_named_is_told_nothing(api: httpx.AsyncClient) -> None:
    for answer in (
        await api.get("/v1/deals", headers={"Origin": STRANGER}),
        await api.options("/v1/deals", headers={"Origin": STRANGER} | ASKS),
        await api.get("/v1/deals"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        # A cache must not hand this answer to a page that may read it.
        assert "origin" in answer.headers["vary"]


class TestForEverybody:
    @pytest.fixture
    def origins(self) -> tuple[str, ...]:
        return ("*",)

    async def test_every_page_gets_the_same_answer(self, api: httpx.AsyncClient) -> None:
        answer = await api.get("/v1/deals", headers={"Origin": STRANGER})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "origin" not in answer.headers["vary"]


class TestWithoutTheSetting:
    @pytest.fixture
    def origins(self) -> tuple[str, ...]:
        return ()

    async def test_no_page_of_another_host_may_call(self, api: httpx.AsyncClient) -> None:
        answer = await api.options("/v1/deals", headers={"Origin": APP} | ASKS)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "GET" in answer.headers["allow"]
