"""What a process has opened, and hands to whoever answers a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from groups.connections import Connections
    from groups.engine import GroupEngine
    from pintuan.base.auth.verifier import Verifier
    from pintuan.base.clock import ServerClock
    from pintuan.base.keyring import Keyring
    from pintuan.base.outgoing.addresses import Resolver
    from pintuan.base.settings.settings import Settings
    from pintuan.base.stores.doorbells import Doorbells
    from pintuan.base.stores.signals import ChangeSignals
    from pintuan.base.telemetry.tracing.spans import Tracing
    from pintuan.http.fair_share.limits import Share
    from pintuan.people.identity.turns import Turns
    from pintuan.reach.previews.cards import Cards
    from pintuan.shop.deals.charging import GatewayRules
    from pintuan.shop.feeds.uploads import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Everything a request handler may need, opened once per process.

    `pool` is for whoever was given this object: handlers get it with the connections of their calls' class.
    """

    settings: Settings
    pool: asyncpg.Pool
    pools: Mapping[Share, asyncpg.Pool]
    redis: Connections
    engine: GroupEngine
    doorbells: Doorbells
    signals: ChangeSignals
    clock: ServerClock
    keyring: Keyring
    tracing: Tracing | None
    verifier: Verifier
    resolver: Resolver
    gateway_rules: GatewayRules
    cards: Cards
    uploads: Uploads
    sign_in_turns: Turns

    def with_share(self, share: Share) -> Resources:
        """Returns the same with the connections of a share."""
        return replace(self, pool=self.pools[share])
