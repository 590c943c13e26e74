"""Members of a marketplace with all its processes hear how their group ended, in the app or by mail."""

from __future__ import annotations

import pytest

from pintuan.base.outgoing.signing import new_secret
from tests.acceptance.signing_in import ask_for_code, header_of, tokens_of
from tests.marketplace import Site, open_deal
from tests.receiver import receiving
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ANN = "ann@example.com"
FRENCH = {"Accept-Language": "fr-CA"}


async def test_an_app_tells_of_the_final_price_and_a_mail_whom_it_does_not_reach(site: Site) -> None:
    secret = new_secret()
    async with receiving() as receiver:
        app = {"PINTUAN_PUSH_WEBHOOK_URL": receiver.url, "PINTUAN_PUSH_WEBHOOK_SECRET": secret}
        running = await site.up("--api-workers", "1", "--workers", "2", **app)
        (merchant,) = await site.tokens("merchant", "acme")
        (bob,) = await site.tokens("buyer", "bob")
        async with running.client() as client:
            terms = {"min_headcount": 2, "max_headcount": 2, "stock": 10, "per_buyer_units": 5}
            ladder = [{"headcount": 2, "unit_price": 900}]
            filled, short = [
                await open_deal(client, merchant, ladder=ladder, group_ttl_seconds=ttl_s, **terms)
                for ttl_s in (600, 2)
            ]
            grant = {"grant_type": "otp", "code": await ask_for_code(client, email=ANN), "email": ANN}
            ann = header_of(tokens_of(await client.post("/v1/auth/token", json=grant, headers=FRENCH)))
            me = (await client.get("/v1/me", headers=ann)).json()
            assert me["language"] == "fr"

            order = {"quantity": 2, "payment_method": "pm_ok"}
            for buyer in (ann, {"Authorization": f"Bearer {bob}"}):
                keyed = buyer | {"Idempotency-Key": "filled"}
                joined = await client.post(f"/v1/deals/{filled}/join", json=order, headers=keyed)
                assert joined.status_code == 201, joined.text

            async def both_are_told() -> bool:
                return len({one.message["data"]["user"] for one in receiver.received}) == 2

            await until(both_are_told)
            told = {
                message["data"]["user"]: message
                for message in (one.verified(secret) for one in receiver.received)
            }
            assert {message["type"] for message in told.values()} == {"message.nudge"}
            assert told["bob"]["data"]["title"] == "It worked: “Tea” for $9.00"
            assert "18,00" in told[me["id"]]["data"]["text"]

            receiver.status = 404
            keyed = ann | {"Idempotency-Key": "short"}
            assert (
                await client.post(f"/v1/deals/{short}/join", json=order, headers=keyed)
            ).status_code == 201

            async def is_mailed() -> bool:
                outbox = await client.get(
                    "/dev/outbox", params={"to": ANN}, headers={"Accept": "application/json"}
                )
                return any("Vous n’avez pas été débité" in item["text"] for item in outbox.json()["items"])

            await until(is_mailed)
        assert await running.terminate() == 0
        await site.assert_sound()
