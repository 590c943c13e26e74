"""What docs/operations/backup-and-restore.md describes: sell, back up, sell more, restore, sell again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from pintuan.base.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.conftest import running
from tests.marketplace import Running, Site, open_deal
from tests.operations.restoring import give_to_owner_of, run, tools_of
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

BUYERS = 12
SOLD_BEFORE, SOLD_UNTIL_TARGET = 4, 8
PAID_WITHIN_S = 20.0
PAID = {"authorised", "captured"}
"""A group that is full settles at once."""
TERMS: dict[str, Any] = {
    "ladder": [{"headcount": 2, "unit_price": 900}, {"headcount": 4, "unit_price": 800}],
    "min_headcount": 2,
    "max_headcount": 6,
    "group_ttl_seconds": 3600,
    "stock": 100,
    "per_buyer_units": 2,
}


@dataclass
class Shop:
    """One deal and its buyers, each of whom always calls with the same key."""

    site: Site
    environ: dict[str, str]
    tokens: list[str]
    deal: str = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[httpx.AsyncClient]:
        """The marketplace on the stores, for the life of the block."""
        up: Running = await self.site.up(**self.environ)
        async with up.client() as client:
            yield client
        assert await up.terminate() == 0

    async def sell(self, client: httpx.AsyncClient, buyers: Sequence[int]) -> dict[int, str]:
        """Lets buyers join and waits until each has paid; answers their orders."""
        orders = {number: await self._join(client, number) for number in buyers}

        async def all_paid() -> bool:
            return {await self._status(client, *order) for order in orders.items()} <= PAID

        await until(all_paid, within_s=PAID_WITHIN_S)
        return orders

    async def _join(self, client: httpx.AsyncClient, number: int) -> str:
        answer = await client.post(
            f"/v1/deals/{self.deal}/join",
            json={"quantity": 1, "payment_method": "pm_ok"},
            headers={**self._caller(number), "Idempotency-Key": f"key-{number}"},
        )
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def _status(self, client: httpx.AsyncClient, number: int, order_id: str) -> str:
        answer = await client.get(f"/v1/orders/{order_id}", headers=self._caller(number))
        return str(answer.json()["status"])

    def _caller(self, number: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[number]}"}


async def open_shop(site: Site, postgres_url: str, redis_url: str) -> Shop:
    """A shop on stores of its own, with tokens that stay good over restarts."""
    environ = {"PINTUAN_DATABASE_URL": postgres_url, "PINTUAN_REDIS_URL": redis_url}
    migrated = await site.run("migrate", **environ)
    assert migrated.status == 0, migrated.errors
    shop = Shop(site, environ, await site.tokens("buyer", "buyer", BUYERS, **environ))
    [merchant] = await site.tokens("merchant", "acme", 1, **environ)
    async with shop.open() as client:
        shop.deal = await open_deal(client, merchant, **TERMS)
    return shop


async def test_a_dump_restored_beside_a_redis_that_kept_running_sells_on(
    site: Site, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, own_directory: Path
) -> None:
    tools, dump = tools_of(own_postgres), own_directory / "pintuan.dump"
    shop = await open_shop(site, own_postgres.url, own_redis.url)
    async with shop.open() as client:
        kept = await shop.sell(client, range(SOLD_BEFORE))
        await run(tools / "pg_dump", "--format=custom", f"--file={dump}", own_postgres.url)
        lost = await shop.sell(client, range(SOLD_BEFORE, BUYERS))

    await run(
        tools / "pg_restore",
        "--clean",
        "--if-exists",
        "--exit-on-error",
        f"--dbname={own_postgres.url}",
        dump,
    )

    async with shop.open() as client:
        again = await shop.sell(client, range(BUYERS))
        await site.assert_sound(**shop.environ)
    assert "Postgres is at an earlier state than Redis remembers" in site.log.read_text()
    assert {number: again[number] for number in kept} == kept
    assert not set(again.values()) & set(lost.values())


async def test_a_base_backup_is_rolled_forward_to_the_moment_before_the_mistake(
    site: Site, own_redis: EmbeddedRedis, own_directory: Path
) -> None:
    archive, base = own_directory / "archive", own_directory / "base"
    archive.mkdir()
    archive.chmod(0o777)
    archiving = {"archive_mode": "on", "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f"}
    async with running(EmbeddedPostgres(own_directory / "first", settings=archiving)) as first:
        tools = tools_of(first)
        shop = await open_shop(site, first.url, own_redis.url)
        async with shop.open() as client:
            kept = await shop.sell(client, range(SOLD_BEFORE))
            await run(
                tools / "pg_basebackup", "--checkpoint=fast", f"--dbname={first.url}", f"--pgdata={base}"
            )
            kept |= await shop.sell(client, range(SOLD_BEFORE, SOLD_UNTIL_TARGET))
            target = await value_of(first, "SELECT clock_timestamp()::text")
            lost = await shop.sell(client, range(SOLD_UNTIL_TARGET, BUYERS))
        segment = await value_of(first, "SELECT pg_walfile_name(pg_switch_wal())")

        async def is_archived() -> bool:
            return (archive / segment).exists()

        await until(is_archived)
        recovery = {
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_time": target,
            "recovery_target_action": "promote",
        }
        (base / "recovery.signal").touch()
        give_to_owner_of(first.directory, base)
    async with running(EmbeddedPostgres(base, settings=recovery)) as restored:
        await until(lambda: is_primary(restored))
        shop.environ["PINTUAN_DATABASE_URL"] = restored.url
        async with shop.open() as client:
            again = await shop.sell(client, range(BUYERS))
            await site.assert_sound(**shop.environ)
    assert "Postgres is at an earlier state than Redis remembers" in site.log.read_text()
    assert {number: again[number] for number in kept} == kept
    assert not set(again.values()) & set(lost.values())


async def is_primary(postgres: EmbeddedPostgres) -> bool:
    return await value_of(postgres, "SELECT pg_is_in_recovery()::text") == "false"


async def value_of(postgres: EmbeddedPostgres, query: str) -> str:
    connection = await asyncpg.connect(postgres.url, timeout=10, command_timeout=10)
    try:
        return str(await connection.fetchval(query))
    finally:
        await connection.close()
