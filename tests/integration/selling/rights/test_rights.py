"""What somebody was given to sell with ends with the right to sell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from groups.ids import new_id
from pintuan.base.auth import Principal
from pintuan.base.auth.acting import acting, operator
from pintuan.base.auth.principal import ISSUER_SEPARATOR
from pintuan.base.errors import Forbidden, NotFound, Unauthenticated
from pintuan.base.keyring import Keyring
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.base.stores.postgres import open_pool
from pintuan.bootstrap import open_resources
from pintuan.people.activity.store import Wanted, list_activity
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.people.api_keys.service import KeyLookup, create_key
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity.erased import recently_refused
from pintuan.people.identity.routes import code_sender_of
from pintuan.people.notifications.service import read_outbox
from pintuan.selling.rights.service import NO_SELLER, Ended, grant, revoke_keys
from pintuan.selling.webhooks import service as webhooks
from pintuan.selling.webhooks import store as webhook_store
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint, WebhookEndpointChange
from pintuan.shop.deals.service import set_deal_status
from pintuan.shop.feeds.formats import FeedItem
from pintuan.shop.feeds.service import FeedImport
from tests.market import Market
from tests.people import erase, sign_in_with

pytestmark = pytest.mark.anyio

ANN: Final = Contact("email", "ann@example.com")
KEYRING: Final = Keyring("a key that seals secrets in tests and nowhere else")
ENDPOINT: Final = NewWebhookEndpoint(url="https://shop.example/hook")
ITEMS: Final = 3


@pytest.fixture
async def app_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(Settings(database_url=database_url), size_max=4, application_name="test") as pool:
        yield pool


@pytest.fixture
async def resources(database_url: str, redis_url: str) -> AsyncIterator[Resources]:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, secret_key="k" * 40, rate_limits=False
    )
    async with open_resources(settings, is_api=True) as resources:
        yield resources


async def merchant(pool: asyncpg.Pool) -> str:
    """An account that sells."""
    account_id, ended = await grant(pool, ANN, "merchant")
    assert ended == Ended()
    return account_id


async def refuses(pool: asyncpg.Pool, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await KeyLookup(pool).principal_of(text)


async def sign_in(resources: Resources) -> str:
    """Signs in and returns the id of the session."""
    await code_sender_of(resources).send(ANN, client_key="192.0.2.1")
    code = (await read_outbox(resources.pool, resources.keyring, ANN.address))[0].code
    assert code is not None
    tokens = await sign_in_with(resources, ANN, code)
    session_id = (await resources.verifier.verify(tokens.access_token)).session_id
    assert session_id is not None
    return session_id


def item(line: int) -> FeedItem:
    return FeedItem(
        line=line,
        item_ref=f"K-{line}",
        group_ref=f"item:K-{line}",
        sku=f"K-{line}",
        title="Kettle",
        variant_title="Kettle",
        description="",
        images=(),
        variant_images=(),
        options=(),
        list_price_minor=500,
        currency="USD",
        currency_assumed=False,
        attributes={},
    )


async def test_a_role_taken_away_takes_what_was_given_with_it(resources: Resources) -> None:
    pool = resources.pool
    ann = await merchant(pool)
    session = await sign_in(resources)
    key = await create_key(pool, ann, NewApiKey("spare"))
    endpoint = await webhooks.create_endpoint(pool, KEYRING, ann, ENDPOINT)
    deal = await Market(pool).deal(merchant=ann)
    others = await Market(pool).deal(merchant="acme")
    assert (await KeyLookup(pool).principal_of(key.key)).subject == ann

    with acting(operator("pintuan grant")):
        account_id, ended = await grant(pool, ANN, "buyer")

    assert (account_id, ended) == (
        ann,
        Ended(api_keys=1, sessions=1, webhook_endpoints=1, deals_paused=1),
    )
    await refuses(pool, key.key)
    assert await pool.fetchval("SELECT count(*) FROM api_keys") == 0
    assert session in await recently_refused(pool)
    shown = await webhooks.get_endpoint(pool, ann, endpoint.id)
    assert (shown.status, shown.notice) == ("disabled", NO_SELLER)
    statuses = {row["id"]: row["status"] for row in await pool.fetch("SELECT id, status FROM deals")}
    assert statuses == {deal: "paused", others: "active"}
    assert await pool.fetchval("SELECT epoch FROM lanes WHERE deal_id = $1", deal) == 2
    log = await list_activity(pool, Wanted(merchant_id=ann, action="pintuan grant"), after=None, limit=100)
    assert sorted(entry.object_ids[0] for entry in log) == sorted([ann, session, key.id, endpoint.id, deal])
    assert {entry.actor_role for entry in log} == {"operator"}


async def test_a_role_that_may_still_sell_keeps_the_keys_and_ends_the_sessions(resources: Resources) -> None:
    pool = resources.pool
    ann, _ = await grant(pool, ANN, "admin")
    key = await create_key(pool, ann, NewApiKey("spare"))
    session = await sign_in(resources)

    assert await grant(pool, ANN, "merchant") == (ann, Ended(sessions=1))
    assert await recently_refused(pool) == [session]
    assert (await KeyLookup(pool).principal_of(key.key)).role == "merchant"
    kept = await sign_in(resources)
    assert await grant(pool, ANN, "admin") == (ann, Ended())
    assert kept not in await recently_refused(pool)


async def test_a_grant_that_was_cut_short_is_finished_by_the_next(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await merchant(app_pool)
    deal = await Market(app_pool).deal(merchant=ann)

    async def cut_short(*_: object) -> list[str]:
        raise OSError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr("pintuan.selling.rights.service.pause_deals", cut_short)
        with pytest.raises(OSError, match="went away"):
            await grant(app_pool, ANN, "buyer")
    assert await grant(app_pool, ANN, "buyer") == (ann, Ended(deals_paused=1))
    assert await app_pool.fetchval("SELECT status FROM deals WHERE id = $1", deal) == "paused"


async def test_a_key_has_the_rights_its_account_has_now(app_pool: asyncpg.Pool) -> None:
    ann = await merchant(app_pool)
    key = (await create_key(app_pool, ann, NewApiKey("spare"))).key

    # As a version before this one took the role away.
    await app_pool.execute("UPDATE accounts SET role = 'buyer'")
    await refuses(app_pool, key)
    await app_pool.execute("UPDATE accounts SET role = 'merchant'")
    assert (await KeyLookup(app_pool).principal_of(key)).subject == ann
    # And as it erased the account.
    await app_pool.execute("DELETE FROM accounts")
    await refuses(app_pool, key)


@pytest.mark.parametrize("subject", ["acme", f"shops{ISSUER_SEPARATOR}usr_17", "usr_ann"])
async def test_keys_of_merchants_without_an_account_go_on(app_pool: asyncpg.Pool, subject: str) -> None:
    key = (await create_key(app_pool, subject, NewApiKey("stock sync"))).key
    assert (await KeyLookup(app_pool).principal_of(key)).subject == subject


async def test_an_erased_person_leaves_no_key_and_no_endpoint(resources: Resources) -> None:
    pool = resources.pool
    for subject in ("acme", await merchant(pool)):
        key = (await create_key(pool, subject, NewApiKey("spare"))).key
        await webhooks.create_endpoint(pool, KEYRING, subject, ENDPOINT)
        await erase(resources, Principal(subject, "buyer"))
        await refuses(pool, key)
        with pytest.raises(Unauthenticated):
            await create_key(pool, subject, NewApiKey("another"))
    for table in ("api_keys", "webhook_endpoints", "webhook_secrets"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - our own names


async def test_nothing_that_lasts_is_made_by_a_key_that_is_still_remembered(app_pool: asyncpg.Pool) -> None:
    ann = await merchant(app_pool)
    endpoint = await webhooks.create_endpoint(app_pool, KEYRING, ann, ENDPOINT)
    deal = await Market(app_pool).deal(merchant=ann)
    await grant(app_pool, ANN, "buyer")
    remembered = Principal(ann, "merchant", api_key_id="key_1")

    with pytest.raises(Forbidden):
        await create_key(app_pool, ann, NewApiKey("another"))
    with pytest.raises(Forbidden):
        await webhooks.create_endpoint(app_pool, KEYRING, ann, ENDPOINT)
    with pytest.raises(Forbidden):
        await webhooks.change_endpoint(app_pool, ann, endpoint.id, WebhookEndpointChange(enabled=True))
    with pytest.raises(Forbidden):
        await set_deal_status(app_pool, remembered, deal, "active")
    # The platform may, for them.
    assert (await set_deal_status(app_pool, Principal("root", "admin"), deal, "active")).status == "active"


async def test_an_import_ends_with_the_right_to_sell(
    app_pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pintuan.shop.feeds.service.BATCH_ITEMS_MAX", 1)
    ann = await merchant(app_pool)
    batches: list[int] = []

    class Halfway(FeedImport):
        """Loses the right to sell behind the first batch."""

        async def _write_at_once(self, batch: object) -> None:
            await super()._write_at_once(batch)  # type: ignore[arg-type]
            batches.append(self.report.items_added)
            await grant(app_pool, ANN, "buyer")

    def feed_import(kind: type[FeedImport], *, by_merchant: bool) -> FeedImport:
        return kind(app_pool, ann, on_bad_row=lambda _: None, by_merchant=by_merchant)

    rows = [item(line) for line in range(1, ITEMS + 1)]
    with pytest.raises(Forbidden):
        await feed_import(Halfway, by_merchant=True).run(rows, on_batch=lambda: None)
    assert batches == [1]
    # What an operator imports for them is the operator's.
    by_operator = feed_import(FeedImport, by_merchant=False)
    await by_operator.run(rows, on_batch=lambda: None)
    assert by_operator.report.items_added == ITEMS - 1


async def test_nothing_is_delivered_for_somebody_who_may_not_sell(app_pool: asyncpg.Pool) -> None:
    ann = await merchant(app_pool)
    endpoint = await webhooks.create_endpoint(app_pool, KEYRING, ann, ENDPOINT)
    await webhooks.ping(app_pool, ann, endpoint.id)

    async def claimed() -> int:
        found = await webhook_store.claim(app_pool, answering=10, failing=10, per_endpoint=4, lease_ms=0)
        return len(found)

    # As a version before this one took the role away, which left the endpoint as it was.
    await app_pool.execute("UPDATE accounts SET role = 'buyer'")
    assert await claimed() == 0
    assert not await webhook_store.overdue_ms(app_pool)
    await app_pool.execute("UPDATE accounts SET role = 'merchant'")
    assert await claimed() == 1


async def test_an_operator_ends_all_keys_and_sessions_of_a_merchant(resources: Resources) -> None:
    pool = resources.pool
    ann = await merchant(pool)
    session = await sign_in(resources)
    keys = [await create_key(pool, ann, NewApiKey(name)) for name in ("stock sync", "spare")]
    others = await create_key(pool, "acme", NewApiKey("stock sync"))

    with acting(operator("pintuan keys revoke")):
        assert await revoke_keys(pool, ann) == Ended(api_keys=2, sessions=1)

    for key in keys:
        await refuses(pool, key.key)
    assert await recently_refused(pool) == [session]
    assert (await KeyLookup(pool).principal_of(others.key)).subject == "acme"
    log = await list_activity(pool, Wanted(merchant_id=ann), after=None, limit=100)
    assert sorted(name for entry in log for name in entry.object_ids) == sorted(
        [session, *(key.id for key in keys)]
    )
    assert (await create_key(pool, ann, NewApiKey("new"))).id != keys[0].id
    assert await revoke_keys(pool, "acme") == Ended(api_keys=1)
    with pytest.raises(NotFound):
        await revoke_keys(pool, new_id("usr"))
