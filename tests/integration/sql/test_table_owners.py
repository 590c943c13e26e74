"""Every table has one owner, and the statements of a noun keep to the tables that its README names.

Postgres itself says which tables a statement names: it notes them for a function whose body the statement is.
Views are noted as views, so a statement that reads one needs no entry for the tables behind it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from sql import Connection
from sql.loader import AUDIT
from tests.query_files import query_files
from tests.readmes import FOLDERS, Readme, owner_of

pytestmark = pytest.mark.anyio

# Tables of others that a noun's statements read. The list only gets shorter: a view or a service of the owner
# takes the place of an entry.
READS: Final = {
    "groups": {"deals"},
    "pintuan.buying.archive": {"schema_migrations"},
    "pintuan.buying.groups": {"group_progress", "groups", "orders"},
    "pintuan.buying.orders": {"deals", "groups", "idempotency_keys", "payment_operations"},
    "pintuan.money.payments": {"deal_buyers", "deals", "erased_units", "erasures", "gateway_events"},
    "pintuan.money.receipts": {"deals", "groups"},
    "pintuan.money.refunds": {"deals"},
    "pintuan.people.identity": {"erasures"},
    "pintuan.people.merchants": {"accounts", "erasures"},
    "pintuan.people.personal": {"forgotten_buyers"},
    "pintuan.reach.invites": {
        "archived_orders",
        "deals",
        "group_progress",
        "groups",
        "merchants",
        "orders",
        "unsubscribes",
    },
    "pintuan.reach.links": {"groups"},
    "pintuan.reach.nudges": {"deals", "group_progress", "groups", "lanes", "orders"},
    "pintuan.reach.pages": {"accounts", "refresh_sessions"},
    "pintuan.selling.sales": {"archived_orders", "deals", "groups", "merchants", "orders"},
    "pintuan.selling.webhooks": {"deals"},
    "pintuan.shop.deals": {"products", "variants"},
    "pintuan.shop.feeds": {"deals", "lanes"},
}
# A list of what is due leaves out the rows that failed, which are tried elsewhere.
ANYBODY_READS: Final = {"setbacks"}

TABLES: Final = """
SELECT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
TABLES_OF_PROBE: Final = """
SELECT DISTINCT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_depend d
JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_class c ON c.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.proname = 'probe' AND c.relkind IN ('r', 'p')
"""
NO_CODE: Final = re.compile(r"--.*|/\*.*?\*/|'[^']*'", re.MULTILINE)
WRITE: Final = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE)\s+([a-z_.]+)")


@pytest.fixture
async def connection(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """The one connection of a test to a migrated database."""
    async with pool.acquire() as connection:
        yield connection


@pytest.fixture
async def tables(connection: Connection) -> set[str]:
    """Every table there is."""
    return {name for (name,) in await connection.fetch(TABLES)}


async def tables_of(connection: Connection, statement: str) -> set[str]:
    """Returns the tables that a statement names; none for one that makes a table or a database."""
    probing = connection.transaction()
    await probing.start()
    try:
        parameters = (await connection.prepare(statement)).get_parameters()
        types = ", ".join(parameter.name for parameter in parameters)
        body = statement.rstrip().removesuffix(";")
        await connection.execute(
            f"CREATE FUNCTION pg_temp.probe({types}) RETURNS void LANGUAGE sql BEGIN ATOMIC {body}; END"
        )
        return {name for (name,) in await connection.fetch(TABLES_OF_PROBE)}
    except asyncpg.FeatureNotSupportedError:
        return set()
    finally:
        await probing.rollback()


def written_by(statement: str) -> set[str]:
    """Returns what a statement inserts into, updates or deletes from."""
    return set(WRITE.findall(NO_CODE.sub("", statement)))


async def test_every_table_has_one_owner(tables: set[str]) -> None:
    owners = Counter(table for package in FOLDERS for table in Readme(package).owned)

    assert tables - owners.keys() == set(), "the README of one noun says what a row of the table is"
    assert owners.keys() - tables == set(), "no migration makes it"
    assert [table for table, count in owners.items() if count > 1] == []


async def test_statements_write_the_tables_that_the_readme_of_their_noun_names(tables: set[str]) -> None:
    written = defaultdict[str | None, set[str]](set)
    for file in query_files():
        for statement in file.queries.values():
            written[owner_of(file.package)] |= written_by(statement) & tables

    assert written.pop(None, set()) == set(), "no noun's statements write this"
    beside_own = {owner: names - set(Readme(str(owner)).owned) for owner, names in written.items()}
    named = {package: Readme(package).also_written for package in FOLDERS}
    assert {owner: names for owner, names in beside_own.items() if names} == {
        package: names for package, names in named.items() if names
    }, "a README says below its tables which it 'Also writes'"


async def test_statements_read_tables_of_others_by_their_views_alone(connection: Connection) -> None:
    read = defaultdict[str, set[str]](set)
    for file in query_files():
        owner = owner_of(file.package)
        # A check of the audit compares nouns with each other.
        if owner is not None and file.name != AUDIT:
            readme = Readme(owner)
            allowed = {*readme.owned, *readme.also_written, *ANYBODY_READS}
            for statement in file.queries.values():
                read[owner] |= await tables_of(connection, statement) - allowed

    assert {owner: names for owner, names in read.items() if names} == READS


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("INSERT INTO refunds (id) SELECT $1 FROM orders FOR UPDATE", {"refunds"}),
        ("WITH a AS (UPDATE orders SET id = $1 RETURNING id) DELETE\nFROM nudges", {"orders", "nudges"}),
        ("/* refunds.x */ SELECT 'DELETE FROM orders' -- UPDATE deals\nFROM orders FOR UPDATE", set()),
    ],
)
def test_what_a_statement_writes_is_found(statement: str, names: set[str]) -> None:
    assert written_by(statement) & {"refunds", "orders", "nudges", "deals"} == names


async def test_what_a_statement_reads_is_found(connection: Connection) -> None:
    statement = (
        "SELECT FROM every_order o WHERE o.id = $1 AND EXISTS (SELECT FROM deals d WHERE d.id = o.deal_id)"
    )

    assert await tables_of(connection, statement) == {"deals"}
