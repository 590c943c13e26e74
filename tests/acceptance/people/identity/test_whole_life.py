"""One person's life on a marketplace with all its processes: sign in, buy, be forgotten."""

from __future__ import annotations

import asyncpg
import pytest

from tests.acceptance.signing_in import ask_for_code, header_of, tell_code, tokens_of
from tests.marketplace import Site, open_deal
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ANN = "ann@example.com"


async def test_somebody_buys_is_forgotten_and_the_books_still_balance(site: Site) -> None:
    running = await site.up("--api-workers", "2", "--workers", "2")
    (merchant,) = await site.tokens("merchant", "acme")
    (bob,) = await site.tokens("buyer", "bob")
    async with running.client() as client:
        deal = await open_deal(
            client,
            merchant,
            ladder=[{"headcount": 2, "unit_price": 900}],
            min_headcount=2,
            max_headcount=2,
            group_ttl_seconds=600,
            stock=10,
            per_buyer_units=5,
        )
        ann = header_of(tokens_of(await tell_code(client, await ask_for_code(client, email=ANN), email=ANN)))
        body = {"quantity": 1, "payment_method": "pm_ok:card-7", "ship_to": {"name": "Ann Lee"}}
        joined = await client.post(
            f"/v1/deals/{deal}/join", json=body, headers=ann | {"Idempotency-Key": "ann"}
        )
        assert joined.status_code == 201, joined.text
        assert f'"to":"{ANN}"' in site.log.read_text()

        assert (await client.delete("/v1/me", headers=ann)).status_code == 204

        async def is_refused_everywhere() -> bool:
            answers = [await client.get("/v1/orders", headers=ann) for _ in range(8)]
            return all(answer.status_code == 401 for answer in answers)

        await until(is_refused_everywhere)
        # Her order still runs, and ends with her group.
        headers = {"Authorization": f"Bearer {bob}", "Idempotency-Key": "bob"}
        other = await client.post(
            f"/v1/deals/{deal}/join", json=body | {"payment_method": "pm_ok:card-8"}, headers=headers
        )
        assert other.status_code == 201, other.text

        connection = await asyncpg.connect(site.running()["database_url"])
        try:

            async def is_scrubbed() -> bool:
                row = await connection.fetchrow(
                    "SELECT status, buyer_id, ship_to, payment_method FROM orders WHERE id = $1",
                    joined.json()["id"],
                )
                assert row is not None
                return bool(row["buyer_id"].startswith("erased_") and row["status"] == "captured")

            await until(is_scrubbed)
        finally:
            await connection.close()
    await site.assert_sound()
    assert await running.terminate() == 0
