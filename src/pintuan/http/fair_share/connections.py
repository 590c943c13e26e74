"""One pool of connections to Postgres for each kind of work of an API process."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pintuan.base.stores.postgres import STATEMENT_TIMEOUT_MS, open_pool
from pintuan.base.stores.shares import Share
from pintuan.http.fair_share.limits import CONNECTIONS, STATEMENT_TIMEOUTS_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.settings.settings import Settings
    from pintuan.base.stores.postgres import OnStatement


@asynccontextmanager
async def open_shares(
    settings: Settings, *, application_name: str, wait_s: float, on_statement: OnStatement | None
) -> AsyncIterator[dict[Share, asyncpg.Pool]]:
    """Opens a pool for each share for the life of the block; raises as `open_pool` does.

    Only recording has its connections from the start; the others are made when somebody needs them.
    """
    async with AsyncExitStack() as stack:
        yield {
            share: await stack.enter_async_context(
                open_pool(
                    settings,
                    size_max=size_max,
                    size_min=size_max if share is Share.RECORDING else 0,
                    application_name=application_name,
                    wait_s=wait_s,
                    statement_timeout_ms=STATEMENT_TIMEOUTS_MS.get(share, STATEMENT_TIMEOUT_MS),
                    on_statement=on_statement,
                )
            )
            for share, size_max in CONNECTIONS.items()
        }
