"""A release is begun and taken back while shoppers keep coming: this version runs on a later one's schema."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.chaos.crowd import open_crowd
from tests.marketplace import Running, Site

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
PACKAGES = ("src", "groups", "pricing", "sql", "workers")
SHOPPERS = 150
ORDERS_BEFORE = 20
NEW_COMMENT = "-- Of the later version."
ADDING = "CREATE TABLE later (id bigint);\nALTER TABLE orders ADD COLUMN later text;\n"
BREAKING = "-- needs: 9002\nDROP TABLE later;\n"


@dataclass(frozen=True, slots=True)
class Later:
    """This tree as it may be one release later: the same code, and a schema that this one does not know."""

    tree: Path

    @classmethod
    def of(cls, tree: Path) -> Later:
        for package in PACKAGES:
            shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
        return cls(tree)

    def add(self, name: str, text: str) -> None:
        (self.tree / "sql" / "migrations" / name).write_text(text)

    def redefine(self, key: str) -> None:
        """Changes the functions of a definition as a release may: the version before calls them too."""
        file = self.tree / "sql" / "definitions" / f"{key}.sql"
        version = re.search(r"^-- version: (\d+)$", text := file.read_text(), re.MULTILINE)
        assert version is not None
        raised = text.replace(version[0], f"-- version: {int(version[1]) + 1}")
        file.write_text(raised.replace("\nBEGIN\n", f"\nBEGIN\n    {NEW_COMMENT}\n"))

    @property
    def environ(self) -> dict[str, str]:
        """What makes Python run it in place of the version that is installed, or in the working directory."""
        return {"PYTHONPATH": f"{self.tree / 'src'}:{self.tree}", "PYTHONSAFEPATH": "1"}


@asynccontextmanager
async def shopping(site: Site, node: Running) -> AsyncIterator[None]:
    """Shoppers who call a node while the block runs; at its end each has what was acknowledged."""
    async with node.client() as client:
        crowd = await open_crowd(site, client, size=SHOPPERS, connections_may_break=True)
        crowding = asyncio.create_task(crowd.shop(client))
        await crowd.reached(ORDERS_BEFORE)
        yield
        await crowding
        await crowd.assert_nothing_lost(client)


async def body_of(function: str, url: str) -> str:
    """The text of a function as Postgres has it."""
    connection = await asyncpg.connect(url, command_timeout=10)
    try:
        return str(await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = $1", function))
    finally:
        await connection.close()


async def test_a_release_that_is_taken_back_loses_nothing(
    site: Site, own_directory: Path, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    stores = {"PINTUAN_DATABASE_URL": own_postgres.url, "PINTUAN_REDIS_URL": own_redis.url}
    later, new_site = Later.of(own_directory / "later"), Site(own_directory / "new")
    later.add("9001_adding.sql", ADDING)
    later.redefine("orders")
    node = await site.up(**stores)
    try:
        async with shopping(site, node):
            migrated = await new_site.run("migrate", **stores, **later.environ)
            steps = ["applying 9001_adding", "applying definitions/orders", "applied 2"]
            assert migrated.output.splitlines() == steps, migrated.errors
            new_node = await new_site.up(**stores, **later.environ)
        # A container of the old version that restarts meanwhile comes up again, beside one of the new.
        async with shopping(site, node):
            assert await node.terminate() == 0
            node = await site.up(**stores)
        async with shopping(site, node):
            assert await new_node.terminate() == 0
    finally:
        await new_site.close()
    beside = "the database is newer than this version, which runs beside 9001_adding, definitions/orders"
    assert site.log.read_text().count(f"pintuan: {beside}\n") == 1
    assert NEW_COMMENT in await body_of("orders_changed", own_postgres.url), (
        "the old version put nothing back"
    )
    await site.assert_sound(**stores)
    assert await node.terminate() == 0

    later.add("9002_breaking.sql", BREAKING)
    assert (await new_site.run("migrate", **stores, **later.environ)).status == 0
    refused = await site.up_refused(**stores)
    reason = "the database has migrations this version cannot run beside: 9002_breaking; use a newer version"
    assert (refused.status, refused.errors) == (1, f"Error: {reason}\n")
    findings = json.loads((await site.run("doctor", "--json", **stores)).output)["findings"]
    assert ("migrations", "FAIL", reason) in [
        (one["subject"], one["status"], one["detail"]) for one in findings
    ]
