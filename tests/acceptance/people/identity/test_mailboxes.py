"""Codes are counted by the mailbox they arrive in, whatever its addresses are."""

from __future__ import annotations

import httpx
import pytest

from pintuan.people.identity.limits import CODES_PER_CALLER
from tests.acceptance.shoppers import refused

pytestmark = pytest.mark.anyio


async def test_the_addresses_of_one_mailbox_get_the_codes_of_one(api: httpx.AsyncClient) -> None:
    for number in range(CODES_PER_CALLER[0].count):
        asked = await api.post("/v1/auth/otp", json={"email": f"b.ea+{number}@gmail.com"})
        assert asked.status_code == 202, asked.text
    refused(await api.post("/v1/auth/otp", json={"email": "bea@googlemail.com"}), 429, "rate_limited")
    assert (await api.post("/v1/auth/otp", json={"email": "bea@example.com"})).status_code == 202
