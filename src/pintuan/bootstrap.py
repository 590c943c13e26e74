"""The composition root: a process' stores and tools, opened in order and closed in the opposite one."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from groups.engine import GroupEngine, open_engine
from groups.lane_store import RateLimits
from groups.listeners import Listeners, Untraced
from pintuan import nouns
from pintuan.base.auth.tokens import TokenVerifier
from pintuan.base.auth.verifier import Verifier
from pintuan.base.clock import ServerClock, open_clock
from pintuan.base.draining import Draining
from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.addresses import SystemResolver
from pintuan.base.process import Resources
from pintuan.base.settings.keys import keyring_of
from pintuan.base.stores.doorbells import Doorbells, open_doorbells
from pintuan.base.stores.postgres import open_pool
from pintuan.base.stores.redis import open_redis, placement_url
from pintuan.base.stores.shares import Share
from pintuan.base.stores.signals import ChangeSignals, open_signals
from pintuan.base.telemetry import metrics
from pintuan.base.telemetry.tracing import open_tracing
from pintuan.http.fair_share.connections import open_shares
from pintuan.http.fair_share.limits import CONNECTIONS_PER_WORKER
from pintuan.money.payments.gateways import rules_of
from pintuan.people.api_keys.service import KeyLookup
from pintuan.people.identity.erased import recently_refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from pintuan.base.settings.settings import Settings
    from pintuan.base.stores.postgres import OnStatement
    from pintuan.base.telemetry.tracing.spans import Tracing

# A process that is started while Postgres recovers waits for it; less than a stop waits before it kills.
POSTGRES_WAIT_S: Final = 5.0
# Every process shows the metrics of all nouns, so that graphs say 0 of events that have not happened yet.
METRICS: Final = nouns.metrics()


@asynccontextmanager
async def open_resources(
    settings: Settings, *, application_name: str = "pintuan-api", is_api: bool = False
) -> AsyncIterator[Resources]:
    """Opens the resources of a process for the life of the block; Postgres knows it by `application_name`.

    An API process has a pool of connections for each share, any other process one for all. The states of
    nouns that serve calls exist in an API process only.

    Raises:
        SettingsError: a URL or the secret key is missing.
        OSError, asyncpg.PostgresError: Postgres cannot be reached or refuses us.
    """
    keyring = keyring_of(settings)
    async with AsyncExitStack() as stack:
        tracing = await stack.enter_async_context(open_tracing(settings, application_name))
        open_pools = open_shares if is_api else _open_one_pool
        pools = await stack.enter_async_context(
            open_pools(
                settings,
                application_name=application_name,
                wait_s=POSTGRES_WAIT_S,
                on_statement=None if tracing is None else tracing.statement_ended,
            )
        )
        redis = await stack.enter_async_context(open_redis(settings))
        carrier = None if tracing is None else tracing.carrier
        doorbells = await stack.enter_async_context(
            open_doorbells(settings, nouns.doorbells(), carrier=carrier)
        )
        signals = await stack.enter_async_context(open_signals(settings))
        listeners = _listeners(doorbells, signals, tracing)
        engine = await stack.enter_async_context(_open_engine(settings, pools, listeners))
        clock = await stack.enter_async_context(open_clock(pools[Share.OPERATOR]))
        resolver = SystemResolver()
        stack.callback(resolver.close)
        resources = Resources(
            settings=settings,
            pool=pools[Share.PLACING],
            pools=pools,
            redis=redis,
            engine=engine,
            doorbells=doorbells,
            signals=signals,
            clock=clock,
            keyring=keyring,
            tracing=tracing,
            verifier=_verifier(settings, keyring, pools, clock),
            resolver=resolver,
            gateway_rules=rules_of(settings),
            draining=Draining(),
            personal=nouns.personal(),
        )
        for open_state in nouns.states() if is_api else ():
            state = await stack.enter_async_context(open_state(resources))
            resources.states[type(state)] = state
        yield resources


@asynccontextmanager
async def _open_one_pool(
    settings: Settings, *, application_name: str, wait_s: float, on_statement: OnStatement | None
) -> AsyncIterator[dict[Share, asyncpg.Pool]]:
    """Opens one pool that is every share."""
    async with open_pool(
        settings,
        size_max=CONNECTIONS_PER_WORKER,
        application_name=application_name,
        wait_s=wait_s,
        on_statement=on_statement,
    ) as pool:
        yield dict.fromkeys(Share, pool)


def _verifier(
    settings: Settings, keyring: Keyring, pools: Mapping[Share, asyncpg.Pool], clock: ServerClock
) -> Verifier:
    return Verifier(
        TokenVerifier(keyring, clock.now_s),
        clock.now_s,
        api_keys=KeyLookup(pools[Share.API_KEYS]),
        issuers=settings.trusted_issuers,
        read_refused=partial(recently_refused, pools[Share.OPERATOR]),
    )


def _listeners(doorbells: Doorbells, signals: ChangeSignals, tracing: Tracing | None) -> Listeners:
    def recorded(count: int) -> None:
        metrics.PLACEMENTS.inc(count)
        doorbells.ring("payments")

    return Listeners(
        on_recorded=recorded,
        on_batch=metrics.PLACEMENT_BATCH_SIZE.observe,
        on_rebuild=metrics.LANE_REBUILDS.inc,
        on_orphans=metrics.ORPHAN_SEATS.inc,
        on_neighbours=metrics.REDIS_NEIGHBOURS.set,
        on_stage=metrics.observe_stage,
        on_settled=metrics.SETTLEMENT_LAG.observe,
        on_ended=metrics.count_ended,
        on_changed=signals.tell,
        tracer=tracing or Untraced(),
    )


def _open_engine(
    settings: Settings, pools: Mapping[Share, asyncpg.Pool], listeners: Listeners
) -> AbstractAsyncContextManager[GroupEngine]:
    return open_engine(
        pools[Share.PLACING],
        placement_url(settings),
        rates=RateLimits() if settings.rate_limits else None,
        sim_offset_ms=settings.sim_offset_ms,
        listeners=listeners,
        recording_pool=pools[Share.RECORDING],
        listing_pool=pools[Share.READS],
    )
