"""What arrives in a real mailbox: in each language, with a link that leads where it says."""

from __future__ import annotations

import re
import time
from datetime import datetime
from email.message import EmailMessage
from typing import cast
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import msgspec
import pytest

from pintuan.base.locales import LANGUAGES
from pintuan.base.outgoing.signing import new_secret
from pintuan.base.settings.keys import keyring_of
from pintuan.base.settings.settings import Settings
from pintuan.people.contacts.channels import Channel
from pintuan.people.notifications.channels import Notifier, SmtpNotifier, WebhookNotifier, notifiers_of
from pintuan.people.notifications.courier import Courier
from tests.acceptance.conftest import serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, Shoppers, placed, refused
from tests.mailbox import HOST, deliver_due, mail_server, text_provider
from tests.market import Market
from tests.receiver import HOST as RECEIVER_HOST
from tests.receiver import Names, receiving

pytestmark = pytest.mark.anyio

LINK = re.compile(r"http://localhost:8000(/g/\w+\?invite=([\w-]+))")
SENDER = "Tea House <hello@shop.example>"


async def test_a_mail_renders_in_each_language_and_its_link_joins_the_right_group(
    api: httpx.AsyncClient,
    bearer: Bearer,
    market: Market,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    settings: Settings,
) -> None:
    deal = await market.deal(max_headcount=len(LANGUAGES) + 1)
    await pool.execute("UPDATE deals SET title = E'Tea\r\nBcc: everybody@example.com' WHERE id = $1", deal)
    ann = placed(await shoppers.open(deal, "ann"))
    await market.authorise(ann["id"])
    group = ann["group"]
    path = f"/v1/groups/{group['id']}/invites"
    async with mail_server() as server:
        smtp = SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER)
        courier = Courier(pool, keyring_of(settings), {"email": smtp}, keeps_readable=False)
        for language in LANGUAGES:
            body = {"recipients": [{"email": f"{language}@example.com"}], "locale": language}
            answer = await api.post(path, json=body, headers=bearer("buyer", "ann"))
            assert answer.status_code == 202, answer.text
        await deliver_due(courier)

    assert sorted(server.recipients) == sorted(f"{language}@example.com" for language in LANGUAGES)
    subjects = set()
    for mail in server.mails:
        name = str(mail["To"]).partition("@")[0]
        text = cast("EmailMessage", mail).get_content()
        subjects.add(mail["Subject"])
        assert "Tea Bcc: …" in mail["Subject"]
        assert "9" in text
        assert "{" not in text
        found = LINK.search(text)
        assert found is not None
        assert found[1].startswith(f"/g/{group['share_code']}?")
        order = placed(await shoppers.join_group(group["id"], name, invite_code=found[2]))
        assert order["group_id"] == group["id"]
        # RFC 8058: one address that takes a POST, on one line, and the other header word for word.
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        stop = re.fullmatch(r"<http://localhost:8000(/v1/unsubscribe/[\w=-]+)>", mail["List-Unsubscribe"])
        assert stop is not None, mail["List-Unsubscribe"]
        assert (await api.post(stop[1])).status_code == 200
    assert len(subjects) == len(LANGUAGES)
    seller = await pool.fetchval("SELECT merchant_id FROM deals WHERE id = $1", deal)
    senders = await pool.fetch("SELECT DISTINCT sender, awaited FROM notifications")
    assert [tuple(row) for row in senders] == [(seller, False)]
    shown = (await api.get(path, headers=bearer("buyer", "ann"))).json()
    assert shown["counts"]["joined"] == len(LANGUAGES)
    assert await pool.fetchval("SELECT count(*) FROM unsubscribes") == len(LANGUAGES)


async def test_a_message_to_somebody_who_sleeps_waits_for_the_morning(
    bearer: Bearer, market: Market, pool: asyncpg.Pool, settings: Settings, contract: Contract
) -> None:
    hour = datetime.now(ZoneInfo("Asia/Seoul")).hour
    asleep = msgspec.structs.replace(settings, quiet_hours=f"{hour}-{(hour + 2) % 24}")
    async with serving(asleep, contract) as api:
        deal = await market.deal(ttl_s=24 * 3600)
        ann = placed(await Shoppers(api, bearer).open(deal, "ann"))
        await market.authorise(ann["id"])
        group = ann["group_id"]
        body = {"recipients": [{"phone": "+821012345678"}, {"email": "bea@example.com"}]}
        path = f"/v1/groups/{group}/invites"
        assert (await api.post(path, json=body, headers=bearer("buyer", "ann"))).status_code == 202
        rows = await pool.fetch(
            "SELECT channel, due_at - created_at > interval '50 minutes' AS late FROM notifications"
        )
        assert {row["channel"]: row["late"] for row in rows} == {"sms": True, "email": False}
        async with text_provider() as provider, mail_server() as server:
            notifiers: dict[Channel, Notifier] = {
                "sms": WebhookNotifier(provider.url),
                "email": SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER),
            }
            courier = Courier(pool, keyring_of(settings), notifiers, keeps_readable=False)
            assert await deliver_due(courier) == 1
        shown = (await api.get(path, headers=bearer("buyer", "ann"))).json()["items"]
        assert {one["channel"]: one["state"] for one in shown} == {"sms": "queued", "email": "sent"}


async def test_a_text_arrives_by_the_providers_webhook(
    api: httpx.AsyncClient,
    bearer: Bearer,
    market: Market,
    shoppers: Shoppers,
    pool: asyncpg.Pool,
    settings: Settings,
) -> None:
    ann = placed(await shoppers.open(await market.deal(), "ann"))
    await market.authorise(ann["id"])
    group = ann["group_id"]
    body = {"recipients": [{"phone": "+12025550123"}], "locale": "vi"}
    path = f"/v1/groups/{group}/invites"
    await api.post(path, json=body, headers=bearer("buyer", "ann"))
    async with text_provider() as provider:
        courier = Courier(
            pool, keyring_of(settings), {"sms": WebhookNotifier(provider.url)}, keeps_readable=False
        )
        await deliver_due(courier)

    (text,) = provider.texts
    assert text["to"] == "+12025550123"
    assert "mua chung" in text["text"]
    (shown,) = (await api.get(path, headers=bearer("buyer", "ann"))).json()["items"]
    assert (shown["channel"], shown["state"]) == ("sms", "sent")


async def test_a_friend_in_the_app_is_invited_by_its_push_service_whoever_they_are(
    bearer: Bearer, market: Market, pool: asyncpg.Pool, settings: Settings, contract: Contract
) -> None:
    secret = new_secret()
    async with receiving() as receiver:
        app = msgspec.structs.replace(settings, push_webhook_url=receiver.url, push_webhook_secret=secret)
        async with serving(app, contract) as api:
            shoppers = Shoppers(api, bearer)
            order = placed(await shoppers.open(await market.deal(), "ann"))
            await market.authorise(order["id"])
            group = order["group_id"]
            path, ann = f"/v1/groups/{group}/invites", bearer("buyer", "ann")
            both = {"recipients": [{"user": "bea", "email": "bea@example.com"}]}
            problem = refused(await api.post(path, json=both, headers=ann), 400, "invalid")
            assert problem["errors"][0]["field"] == "recipients[0].user"
            body = {"recipients": [{"user": "usr_friend_bea"}, {"user": "usr_friend_bea"}], "locale": "uk"}
            for expected in (["queued", "skipped"], ["skipped", "skipped"]):
                answer = await api.post(path, json=body, headers=ann)
                assert [one["status"] for one in answer.json()["recipients"]] == expected
            notifiers = notifiers_of(app, Names([RECEIVER_HOST]), now_s=time.time)
            await deliver_due(Courier(pool, keyring_of(app), notifiers, keeps_readable=False))
            message = receiver.received[0].verified(secret)
            assert (message["type"], message["data"]["user"]) == ("message.invite", "usr_friend_bea")
            assert message["data"]["title"] == "Вас запрошено: «Tea»"
            code = message["data"]["url"].partition("invite=")[2]
            placed(await shoppers.join_group(group, "usr_friend_bea", invite_code=code))

            (shown,) = (await api.get(path, headers=ann)).json()["items"]
            assert (shown["channel"], shown["state"], shown["recipient"]) == ("push", "joined", "…_bea")
            deal = (await api.get(f"/v1/groups/{group}")).json()["deal_id"]
            funnel = await api.get(f"/v1/merchant/deals/{deal}/funnel", headers=bearer("merchant", "acme"))
            assert {one["channel"]: one["joined"] for one in funnel.json()["channels"]}["push"] == 1
            bea = bearer("buyer", "usr_friend_bea")
            exported = (await api.get("/v1/me/export", headers=bea)).json()["notifications"]
            assert [one["channel"] for one in exported] == ["push"]
            assert (await api.delete("/v1/me", headers=bea)).status_code == 204
            assert await pool.fetchval("SELECT count(*) FROM notifications") == 0


async def test_nobody_is_invited_by_an_app_that_there_is_not(
    api: httpx.AsyncClient, bearer: Bearer, market: Market, shoppers: Shoppers
) -> None:
    group = placed(await shoppers.open(await market.deal(), "ann"))["group_id"]
    body = {"recipients": [{"user": "bea"}]}
    answer = await api.post(f"/v1/groups/{group}/invites", json=body, headers=bearer("buyer", "ann"))
    assert refused(answer, 400, "invalid")["errors"][0]["field"] == "recipients[0].user"
