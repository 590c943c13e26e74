"""The stores and tools that a process has opened, for its handlers and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from groups.connections import Connections
    from groups.engine import GroupEngine
    from pintuan.base.auth.verifier import Verifier
    from pintuan.base.charging import GatewayRules
    from pintuan.base.clock import ServerClock
    from pintuan.base.draining import Draining
    from pintuan.base.keyring import Keyring
    from pintuan.base.outgoing.addresses import Resolver
    from pintuan.base.personal import Personal
    from pintuan.base.settings.settings import Settings
    from pintuan.base.stores.doorbells import Doorbells
    from pintuan.base.stores.shares import Share
    from pintuan.base.stores.signals import ChangeSignals
    from pintuan.base.telemetry.tracing.spans import Tracing

_State = TypeVar("_State")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Everything a request handler may need, opened once per process.

    `pool` serves the code that was given this object; handlers get it with the connections of their calls'
    class. `states` has what nouns keep, by its type.
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
    draining: Draining
    personal: Sequence[Personal]
    states: dict[type, object] = field(default_factory=dict)

    def state(self, kind: type[_State]) -> _State:
        """Returns what a noun keeps while a process answers calls, as its `state.py` opened it.

        Raises:
            LookupError: no noun keeps a thing of this type, or this process answers no calls.
        """
        try:
            return cast("_State", self.states[kind])
        except KeyError:
            raise LookupError(f"no noun has opened {kind.__name__}; the state.py of one must") from None

    def with_share(self, share: Share) -> Resources:
        """Returns the same with the connections of a share."""
        return replace(self, pool=self.pools[share])
