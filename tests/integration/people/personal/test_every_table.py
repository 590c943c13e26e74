"""Every table with rows of a person is forgotten by its noun, or stays for a reason that is given here."""

from __future__ import annotations

from typing import Final

import asyncpg
import pytest

from pintuan import nouns
from pintuan.base.auth import Principal
from pintuan.base.process import Resources
from pintuan.base.settings.settings import Settings
from pintuan.bootstrap import open_resources
from pintuan.buying.archive.service import Archivist
from pintuan.money.payments.operations import PaymentExecutor
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.people.api_keys.schemas import NewApiKey
from pintuan.people.api_keys.service import create_key
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity.personal import person_of
from pintuan.people.identity.routes import code_sender_of
from pintuan.people.notifications.service import read_outbox
from pintuan.selling.rights.service import grant
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint
from pintuan.selling.webhooks.service import create_endpoint
from tests.market import Market
from tests.people import erase, sign_in_with
from tests.rows import Rows

pytestmark = pytest.mark.anyio

ANN: Final = Contact("email", "ann@example.com")
DAY_MS: Final = 24 * 3_600_000
# No row of these tables names a person.
OF_NOBODY: Final = frozenset(
    {
        "schema_migrations",
        "schema_definitions",
        "sweep_turns",
        "history_beacons",
        "products",
        "variants",
        "product_search",
        "deals",
        "offers",
        "replaced_offers",
        "lanes",
        "lane_changes",
        "stock_transfers",
        "groups",
        "group_progress",
        "seat_releases",
        "payment_operations",
        "archived_operations",
        "card_keys",
        "gateway_events",
        "ledger_postings",
        "ledger_balances",
        "events",
        "listeners",
        "webhook_events",
        "webhook_deliveries",
    }
)
# These rows outlive an erasure.
STAYING: Final = {
    "merchants": "Deals and sales name the merchant; people who only buy are none.",
    "limit_windows": "Keyed hashes that count codes, gone in an hour.",
    "setbacks": "An erasure that failed is tried again by its subject, and goes with it.",
    "erasures": "The erasure itself, until nothing is left and the last token has expired.",
    "forgotten_buyers": "Lanes that Redis must still be told about; the erasure waits for them.",
    "erased_units": "Limits count on under digests until the deal's limits are forgotten (decision 9).",
    "idempotency_keys": "Hashes that requests are known by, for 24 hours.",
    "failed_cards": "Digests of cards whose capture failed, under a key of their own (decision 36).",
    "unsubscribes": "Somebody who wants no messages should not have to say it twice.",
    "activity": "The log of what merchants, admins and operators did (decision 35).",
    "activity_addresses": "Addresses of that log, which goes on without them after a while.",
    "refunds": "They say which merchant or admin gave money back.",
    "nudges": "The last member who was told, while others of the group still have to be told.",
    "sandbox_gateway.authorisations": "The gateway's own books, as of any gateway.",
    "sandbox_gateway.calls": "The gateway's own books, as of any gateway.",
}


def forgotten() -> list[str]:
    """The tables that nouns forget a person in."""
    return [table for noun in nouns.personal() for table in noun.tables]


async def tables_of(pool: asyncpg.Pool) -> set[str]:
    rows = await pool.fetch(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'sandbox_gateway') AND table_type = 'BASE TABLE'"
    )
    return {
        name if schema == "public" else f"{schema}.{name}" for schema, name in (tuple(row) for row in rows)
    }


async def bearing(pool: asyncpg.Pool, tables: set[str], words: list[str]) -> set[str]:
    """Those of the tables in which any row holds one of the words, whatever its column."""
    found = set()
    for table in tables:
        statement = f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE ANY($1::text[]))"  # noqa: S608 - names of our own tables
        if await pool.fetchval(statement, [f"%{word}%" for word in words]):
            found.add(table)
    return found


async def test_every_table_is_forgotten_by_a_noun_or_has_a_reason(pool: asyncpg.Pool) -> None:
    decided = [*forgotten(), *OF_NOBODY, *STAYING]

    assert await tables_of(pool) - set(decided) == set(), (
        "the personal.py of a noun names each table whose rows of a person it forgets; others are named here"
    )
    assert set(decided) - await tables_of(pool) == set(), "these tables are gone"
    assert len(decided) == len(set(decided)), "a table is decided about once"


async def test_nothing_is_left_of_a_person_in_any_table_that_a_noun_forgets(
    pool: asyncpg.Pool, database_url: str, redis_url: str
) -> None:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, secret_key="k" * 40, rate_limits=False
    )
    async with open_resources(settings, is_api=True) as resources:
        subject = await signed_in(resources)
        words = [subject, ANN.address, await selling(resources, subject)]
        await buying(resources, subject)
        async with pool.acquire() as connection:
            person = await person_of(connection, resources.keyring, Principal(subject, "buyer"))
        words += [digest.hex() for digest in (*person.digests, *person.mailbox_digests)]
        tables = set(forgotten())
        assert await bearing(pool, tables, words) == tables, "the test gives the person a row in each"

        await erase(resources, Principal(subject, "buyer"))

        assert await bearing(pool, tables, words) == set()
        assert (
            await bearing(pool, set(OF_NOBODY) - {"schema_migrations", "schema_definitions"}, words) == set()
        )


async def signed_in(resources: Resources) -> str:
    """Ann, with an account, a session, and a code she asked for since."""
    await code_sender_of(resources).send(ANN, client_key="192.0.2.1")
    code = (await read_outbox(resources.pool, resources.keyring, ANN.address))[0].code
    assert code is not None
    await sign_in_with(resources, ANN, code)
    await code_sender_of(resources).send(ANN, client_key="192.0.2.1")
    subject: str = await resources.pool.fetchval("SELECT id FROM accounts")
    return subject


async def selling(resources: Resources, subject: str) -> str:
    """Has Ann make a key and an endpoint, as somebody who sold once; returns the endpoint."""
    await grant(resources.pool, ANN, "merchant")
    await create_key(resources.pool, subject, NewApiKey(name="stock sync"))
    wanted = NewWebhookEndpoint(url="https://shop.example/hook")
    return (await create_endpoint(resources.pool, resources.keyring, subject, wanted)).id


async def buying(resources: Resources, subject: str) -> None:
    """Gives Ann an order that has ended, one in the archive, and an invitation she sent."""
    market = Market(resources.pool)
    deal = await market.deal()
    payments = PaymentExecutor(resources.pool, SandboxGateway(resources.pool))
    archivist = Archivist(resources.pool, age_ms=-DAY_MS)
    for archived in (1, 0):
        await resources.engine.place(market.wish(subject, deal=deal, verb="solo"))
        await payments.drain()
        await resources.pool.execute("DELETE FROM seat_releases")
        assert await archivist.archive_solo_orders(archived) == archived
    group = await Rows(resources.pool, deal).group()
    await resources.pool.execute(
        "INSERT INTO invites (code, group_id, inviter_id, channel, due_at, forget_at)"
        " VALUES ('an-invitation', $1, $2, 'email', app_now(), app_now())",
        group,
        subject,
    )
