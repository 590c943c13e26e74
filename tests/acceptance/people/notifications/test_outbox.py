"""The outbox shows developers what was written to people, and nobody else anything."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import refused
from tests.acceptance.signing_in import ask_for_code, sign_in

pytestmark = pytest.mark.anyio

JSON = {"Accept": "application/json"}


async def test_the_newest_message_is_first_and_a_recipient_can_be_picked(api: httpx.AsyncClient) -> None:
    first = await ask_for_code(api, email="ann@example.com")
    second = await ask_for_code(api, phone="+12025550123")

    items = (await api.get("/dev/outbox", headers=JSON)).json()["items"]

    assert [(item["channel"], item["to"], item["code"]) for item in items] == [
        ("sms", "+12025550123", second),
        ("email", "ann@example.com", first),
    ]
    assert items[0].keys() == {"channel", "to", "text", "code", "created_at"}
    for to in ("Ann@Example.com", "ann@example.com"):
        picked = (await api.get("/dev/outbox", params={"to": to}, headers=JSON)).json()["items"]
        assert [item["code"] for item in picked] == [first]
    # A plus sign that nobody escaped.
    picked = (await api.get("/dev/outbox?to=+12025550123", headers=JSON)).json()["items"]
    assert [item["code"] for item in picked] == [second]
    assert (await api.get("/dev/outbox", params={"to": "bob@example.com"}, headers=JSON)).json() == {
        "items": []
    }


async def test_a_browser_gets_a_page(api: httpx.AsyncClient) -> None:
    empty = await api.get("/dev/outbox", headers={"Accept": "text/html,*/*;q=0.8"})
    assert "Nothing yet" in empty.text
    code = await ask_for_code(api, email="o'neil&co@example.com")

    page = await api.get("/dev/outbox", headers={"Accept": "text/html,*/*;q=0.8"})

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert code in page.text
    assert "o&#x27;neil&amp;co@example.com" in page.text


@pytest.fixture
def production(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, env="production")


async def test_production_has_no_outbox(production: Settings, contract: Contract) -> None:
    async with serving(production, contract) as api:
        refused(await api.get("/dev/outbox", headers=JSON), 404, "not_found")


@pytest.mark.parametrize(
    ("field", "contact", "channel"),
    [("email", "ann@shop.example.com", "smtp_url"), ("phone", "+12025550123", "sms_webhook_url")],
)
async def test_production_signs_in_only_by_channels_that_are_set_up(
    production: Settings, contract: Contract, field: str, contact: str, channel: str
) -> None:
    async with serving(production, contract) as api:
        problem = refused(await api.post("/v1/auth/otp", json={field: contact}), 400, "invalid")
        assert problem["errors"][0]["field"] == field
        assert "not set up" in problem["errors"][0]["message"]
    url = {"smtp_url": "smtp://mail.example", "sms_webhook_url": "https://sms.example"}[channel]
    ready = msgspec.structs.replace(production, mail_from="hello@shop.example", **{channel: url})
    async with serving(ready, contract) as api:
        assert (await api.post("/v1/auth/otp", json={field: contact})).status_code == 202


async def test_production_takes_no_address_that_mail_cannot_reach(
    production: Settings, contract: Contract
) -> None:
    ready = msgspec.structs.replace(
        production, mail_from="hello@shop.example", smtp_url="smtp://mail.example"
    )
    async with serving(ready, contract) as api:
        refused(await api.post("/v1/auth/otp", json={"email": "ann@shop.test"}), 400, "invalid")


async def test_logs_of_the_api_name_neither_people_nor_codes_nor_tokens(
    api: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await ask_for_code(api, email="ann@example.com")
    tokens = await sign_in(api, phone="+12025550123")
    await api.post("/v1/auth/token", json={"grant_type": "refresh", "refresh_token": tokens["refresh_token"]})
    await api.post("/v1/auth/token", json={"grant_type": "refresh", "refresh_token": tokens["refresh_token"]})

    written = capsys.readouterr().err

    assert "used twice" in written
    secrets = [code, "ann@", "2025550123", tokens["access_token"], tokens["refresh_token"], "ptr_"]
    assert [secret for secret in secrets if secret in written] == []
