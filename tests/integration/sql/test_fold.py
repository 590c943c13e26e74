"""A database made by the migrations of before the fold has the same catalogue as one made today.

This test, `before_the_fold.zip` and `sql.schema.UNRELEASED_FIRST` with its tests go with the first release:
from then on migrations are never edited, and the old ones say nothing to anybody.
"""

# ruff: noqa: S608 - fixed text and names of the catalogue are put into statements.

import asyncio
import zipfile
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
import pytest
from click.testing import CliRunner

from pintuan.base.settings.settings import Settings
from pintuan.base.stores.embedded import EmbeddedPostgres
from pintuan.cli import main
from pintuan.running.diagnosis import diagnose
from sql import migrate
from tests.conftest import PostgresFixture, own_database
from tests.marketplace import Site

pytestmark = pytest.mark.anyio

OLD_MIGRATIONS: Final = zipfile.Path(Path(__file__).with_name("before_the_fold.zip"))
Catalogue: TypeAlias = dict[str, dict[str, str]]

# The differences that are meant. Search pages without `with_hidden` were there for the version before; none
# was released. Postgres names the NOT NULL of a copied column after the table it was copied from.
LEFT_OUT: Final = {
    "public.products_page(text,text,text,bigint,bigint,boolean,bigint,text,integer)",
    "public.deals_page(text,text,text,text,text,text,bigint,text,bigint,text,integer)",
}
RENAMED: Final = (
    "public.archived_orders.archived_orders_new_card_not_null",
    "public.archived_orders.orders_new_card_not_null",
)
# The runner makes these itself, and the second is new.
OF_THE_RUNNER: Final = ("public.schema_migrations", "public.schema_definitions")
# What was made anew later: one more reason, and the offer of an order.
CHANGED_SINCE: Final = (
    "public.group_told()",
    "public.orders_changed()",
    "public.deals_shown",
    "public.deals_shown._RETURN",
    "public.deals_shown.31.offer",
    "public.archived_orders.order_decline_reason",
    "public.orders.order_decline_reason",
    "public.orders_shown",
    "public.orders_shown._RETURN",
)
# What begins so came after the fold.
ADDED_SINCE: Final = (
    "public.events",
    "public.events_",
    "public.listeners",
    "public.webhook_events.5.created_at",
    "public.erased_units",
    "public.erasures_by_holder",
    "public.erasures.5.holders",
    "public.erasures.erasures_holders_not_null",
    "public.forgotten_buyers",
    "public.lanes_in_use",
    "public.holders_of(",
    "public.may_sell(",
    "public.notifications.13.awaited",
    "public.notifications.14.sender",
    "public.notifications.15.destination",
    "public.notifications.notifications_awaited_not_null",
    "public.notifications.notifications_destination_not_null",
    "public.notifications.notifications_sender_not_null",
    "public.notifications_awaited",
    "public.notifications_unasked",
    "public.deals.deal_made",
    "public.deals.deal_retitled",
    "public.keep_offers(",
    "public.offer_at(",
    "public.offered_now(",
    "public.offer_is_spare(",
    "public.offer_margin(",
    "public.offers",
    "public.replaced_offers",
    "public.watched_lanes",
    "public.orders_shown.17.offer",
    "public.products.product_retold",
    "public.refuse_change_of_offers(",
    "public.variants.variant_retold",
    "public.refresh_sessions_revoked",
)
# What begins so has gone since: due messages are found by who waits for them and whose they are; a noun hears
# of events instead of having triggers on tables of others.
LEFT_OUT_SINCE: Final = (
    "public.group_nudged_",
    "public.groups.group_nudged_",
    "public.notifications_due",
    "public.orders.orders_told",
    "public.orders_told(",
    "public.webhook_events.5.fanned_out",
    "public.webhook_events.6.created_at",
    "public.webhook_events.webhook_events_fanned_out_not_null",
    "public.webhook_events_new",
    "public.webhook_wanted(",
)
# Its one row is random.
RANDOM: Final = "public.card_keys"

REFUSED: Final = (
    "the database was made by a version before the first release, and no later one can go on with it;"
    " begin with a new data directory, or with an empty database"
)

OURS: Final = "= ANY ('{public,sandbox_gateway}'::regnamespace[])"
# Each statement lists one kind of thing as name and description, both of them text.
KINDS: Final = {
    "schemas": """
        SELECT nspname, concat_ws(' | ', nspacl, obj_description(oid, 'pg_namespace')) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'""",
    "relations": f"""
        SELECT c.oid::regclass, concat_ws(' | ', c.relkind, c.relpersistence, c.relispartition, c.reloptions,
            c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reltablespace, a.amname,
            pg_get_partkeydef(c.oid), obj_description(c.oid, 'pg_class'),
            CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END)
        FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam WHERE c.relnamespace {OURS}""",
    "columns": f"""
        SELECT format('%s.%s.%s', c.oid::regclass, a.attnum, a.attname), concat_ws(' | ',
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attislocal,
            a.attcollation::regcollation, a.attstorage, a.attcompression, a.attstattarget, a.attoptions,
            a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relnamespace {OURS}""",
    "constraints": f"""
        SELECT format('%s.%s', c.oid::regclass, n.conname), concat_ws(' | ', pg_get_constraintdef(n.oid),
            n.condeferrable, n.condeferred, n.convalidated, n.contype,
            obj_description(n.oid, 'pg_constraint'))
        FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid WHERE c.relnamespace {OURS}""",
    "indexes": f"""
        SELECT c.oid::regclass, concat_ws(' | ', pg_get_indexdef(c.oid), i.indisunique, i.indisprimary,
            i.indisvalid, i.indimmediate, i.indisclustered, i.indisreplident, c.reloptions)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace {OURS}""",
    "triggers": f"""
        SELECT format('%s.%s', c.oid::regclass, t.tgname),
            concat_ws(' | ', pg_get_triggerdef(t.oid), t.tgenabled)
        FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
        WHERE NOT t.tgisinternal AND c.relnamespace {OURS}""",
    "rules": f"""
        SELECT format('%s.%s', c.oid::regclass, r.rulename), pg_get_ruledef(r.oid)
        FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.relnamespace {OURS}""",
    "functions": f"""
        SELECT p.oid::regprocedure, concat_ws(' | ', pg_get_functiondef(p.oid), p.provolatile, p.proparallel,
            p.prosecdef, p.proleakproof, p.proisstrict, p.procost, p.prorows, p.proconfig, p.proacl,
            obj_description(p.oid, 'pg_proc'))
        FROM pg_proc p WHERE p.pronamespace {OURS}""",
    "sequences": f"""
        SELECT c.oid::regclass, concat_ws(' | ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax,
            s.seqmin, s.seqcache, s.seqcycle)
        FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.relnamespace {OURS}""",
    "types": f"""
        SELECT t.oid::regtype, concat_ws(' | ', t.typtype, t.typacl, t.typrelid::regclass)
        FROM pg_type t WHERE t.typnamespace {OURS}""",
    "partitions and parents": """
        SELECT format('%s of %s', c.oid::regclass, i.inhparent::regclass), pg_get_expr(c.relpartbound, c.oid)
        FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid""",
    "default privileges": "SELECT defaclrole::regrole, defaclacl FROM pg_default_acl",
    "extensions": "SELECT extname, extversion FROM pg_extension",
    "policies": "SELECT format('%s.%s', polrelid::regclass, polname), polcmd FROM pg_policy",
    "event triggers": "SELECT evtname, evtevent FROM pg_event_trigger",
    "statistics": "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
}


@pytest.mark.slow
async def test_the_folded_migrations_and_the_definitions_make_what_the_old_migrations_made(
    postgres: PostgresFixture,
) -> None:
    async with own_database(postgres, template="template1") as old_url:
        await migrate(old_url, directory=OLD_MIGRATIONS)
        old = await catalogue(old_url)
    async with own_database(postgres, template="template1") as new_url:
        await migrate(new_url)
        new = await catalogue(new_url)

    gone = {name for name in old["functions"] if name.startswith(LEFT_OUT_SINCE)}
    assert old["functions"].keys() - new["functions"].keys() - gone == LEFT_OUT
    for name in LEFT_OUT:
        del old["functions"][name]
    before, now = RENAMED
    old["constraints"][now] = old["constraints"].pop(before)
    for kind in old:
        old[kind] = {name: what for name, what in old[kind].items() if not name.startswith(LEFT_OUT_SINCE)}
        since_then = {name for name in new[kind] if name.startswith(ADDED_SINCE) or name in CHANGED_SINCE}
        assert new[kind].keys() >= old[kind].keys(), kind
        assert {name: new[kind][name] for name in new[kind].keys() - since_then} == {
            name: old[kind][name] for name in old[kind].keys() - since_then
        }, kind
    # An empty list would be equal too.
    empty = {"default privileges", "event triggers", "partitions and parents", "policies", "statistics"}
    assert {kind for kind in new if not new[kind]} == empty


@pytest.fixture
async def unreleased_url(empty_database_url: str) -> str:
    """A database that the old migrations made, as far as anybody can tell."""
    await record_old_migrations(empty_database_url)
    return empty_database_url


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
async def test_migrate_refuses_a_database_of_before_the_fold(
    unreleased_url: str, options: tuple[str, ...]
) -> None:
    environ = {"PINTUAN_DATABASE_URL": unreleased_url}
    result = await asyncio.to_thread(CliRunner(env=environ).invoke, main, ["migrate", *options])

    assert (result.exit_code, result.output) == (1, f"Error: {REFUSED}\n")


@pytest.mark.slow
async def test_up_refuses_a_database_of_before_the_fold(
    site: Site, own_postgres: EmbeddedPostgres, redis_url: str
) -> None:
    await record_old_migrations(own_postgres.url)

    refused = await site.up_refused(PINTUAN_DATABASE_URL=own_postgres.url, PINTUAN_REDIS_URL=redis_url)

    assert (refused.status, refused.errors) == (1, f"Error: {REFUSED}\n")


async def test_doctor_says_what_to_do_about_a_database_of_before_the_fold(
    unreleased_url: str, redis_url: str
) -> None:
    findings = await diagnose(Settings(database_url=unreleased_url, redis_url=redis_url))

    found = next(finding for finding in findings if finding.subject == "migrations")
    assert (found.status, found.detail) == ("FAIL", REFUSED)
    assert found.remedy == "name another --data-dir, or an empty database in PINTUAN_DATABASE_URL"


async def record_old_migrations(url: str) -> None:
    """Leaves the record of the old migrations, as it was before it had a column `needs`."""
    connection = await asyncpg.connect(url, command_timeout=10)
    try:
        await connection.execute(
            "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL UNIQUE,"
            " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());"
            "INSERT INTO schema_migrations VALUES (1, '0001_catalog', ''), (2, '0002_groups_and_orders', '')"
        )
    finally:
        await connection.close()


async def catalogue(url: str) -> Catalogue:
    """Everything that was made in a database, by kind and name, and the rows that were put into tables."""
    connection = await asyncpg.connect(url, command_timeout=10)
    try:
        # Every name outside of pg_catalog is written with its schema.
        await connection.execute("SET search_path = pg_catalog")
        found = {}
        for kind, statement in KINDS.items():
            rows = await connection.fetch(
                f"SELECT name::text, what::text FROM ({statement}) AS k (name, what)"
            )
            found[kind] = {row["name"]: row["what"] for row in rows if not of_the_runner(row["name"])}
        found["rows"] = await seed_rows(connection)
    finally:
        await connection.close()
    return found


def of_the_runner(name: str) -> bool:
    return name.removesuffix("[]").startswith(OF_THE_RUNNER)


async def seed_rows(connection: asyncpg.Connection) -> dict[str, str]:
    """The rows of all tables that have any, and of the random one how many."""
    tables = await connection.fetch(
        f"SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace {OURS}"
    )
    rows = {}
    for name in (table["name"] for table in tables if not of_the_runner(table["name"])):
        shown = "count(*)::text" if name == RANDOM else "string_agg(t::text, ' ' ORDER BY t::text)"
        rows[name] = await connection.fetchval(f"SELECT {shown} FROM {name} t")
    return {name: text for name, text in rows.items() if text is not None}
