"""Recipients who stopped messages of a kind, in Postgres, one typed function per statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from pintuan.people.consents.stoppable import Stoppable
    from sql import Connection

CONSENTS: Final = load_queries(__package__)


async def unsubscribed(connection: Connection, digests: Sequence[bytes], topic: Stoppable) -> set[bytes]:
    """Returns those of the hashes whose owners want no messages of a kind."""
    rows = await connection.fetch(CONSENTS["unsubscribed"], digests, topic)
    return {row["recipient_digest"] for row in rows}


async def unsubscribe(
    connection: Connection, recipient_digest: bytes, topic: Stoppable, *, kid: str, sealed: bytes
) -> None:
    """Notes that somebody wants no messages of a kind; twice is once."""
    await connection.execute(CONSENTS["unsubscribe"], recipient_digest, topic, kid, sealed)


async def unsubscribes_to_reseal(pool: asyncpg.Pool, kid: str, *, limit: int) -> list[str]:
    """Returns what names up to `limit` whose hash another key than `kid` made."""
    return [row["id"] for row in await pool.fetch(CONSENTS["unsubscribes_to_reseal"], kid, limit)]


async def stale_unsubscribes(
    connection: Connection, kid: str, names: Sequence[str]
) -> dict[tuple[bytes, Stoppable], bytes]:
    """Locks those whose hash another key than `kid` made; returns what is sealed, for each."""
    rows = await connection.fetch(CONSENTS["stale_unsubscribes"], kid, names)
    return {(row["recipient_digest"], row["kind"]): row["sealed"] for row in rows}


async def drop_unsubscribe(connection: Connection, recipient_digest: bytes, topic: Stoppable) -> None:
    """Takes back one hash."""
    await connection.execute(CONSENTS["drop_unsubscribe"], recipient_digest, topic)
