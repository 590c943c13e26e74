"""Script calls into a lane's Redis state, each under the token of the connection it travels on.

A token is `epoch:run_id`. The epoch comes from Postgres; the run id is Redis' own (`connections.py`), because
a restored file or a promoted replica carries an old epoch that would look right. A script that finds another
token answers `cold` and changes nothing. The exception is `forget`, which takes a name out of any state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from groups.cluster import connections_to
from groups.connections import Lent
from groups.errors import Overloaded
from groups.keys import Lane, LaneKeys
from groups.listeners import Tracer, Untraced
from groups.script_calls import ScriptCall, ScriptCalls
from groups.scripts import (
    CLOSE,
    CONFIGURE,
    CONFIRM,
    FORGET,
    GIVE,
    INSTALL,
    LEAVE,
    LIST,
    ORPHANS,
    PLACE,
    TAKE,
    Script,
)

ORPHANS_LISTED_MAX = 500
# In the memory of requests: the order is in Postgres, so no rebuild undoes it. Lanes count from 1.
EPOCH_RECORDED = 0
STAGING_CHUNK = 1_000
# A lane that nobody joined for this long expires from Redis. The time is longer than requests are remembered
# and than any group lives, so that nothing of the lane is still needed.
LANE_TTL_MS = 8 * 24 * 3_600_000
# Staged keys of a rebuild that died are nobody's; they leave by themselves.
STAGING_TTL_MS = 120_000
# Lanes remember the transfers of their units for this long, by far longer than anybody repeats a step of one.
TRANSFERS_KEPT_MS = 3_600_000


class LaneCold(Exception):
    """Redis holds no state of the lane under the epoch the caller believes in."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Sustained rates and bursts enforced inside the placement script.

    A buyer's rate is what a person with a nervous finger may want. A deal's limit is above what one lane
    places: it protects other lanes of the same stores, and does not throttle a sale.
    """

    buyer_per_s: float = 5.0
    buyer_burst: int = 20
    deal_per_s: float = 20_000.0
    deal_burst: int = 40_000


class PlaceItem(msgspec.Struct, array_like=True, frozen=True):
    """One buyer's request to be placed, as `place.lua` reads it."""

    verb: str
    group_id: str
    order_id: str
    request_id: str
    buyer: str
    quantity: int
    new_group_id: str
    share_code: str


class Confirmations(msgspec.Struct, array_like=True):
    """Orders and groups (id, deadline in ms) that are known to be committed."""

    order_ids: list[str] = msgspec.field(default_factory=list)
    groups: list[tuple[str, int]] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.order_ids or self.groups)


PlaceResult = list[Any]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class LaneStore:
    """Typed calls to the scripts of lanes. One instance serves a process."""

    def __init__(
        self,
        redis_url: str,
        *,
        rates: RateLimits | None,
        sim_offset_ms: int = 0,
        request_ttl_ms: int,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or Untraced()
        self.connections = connections_to(redis_url)
        self._calls = ScriptCalls(
            self.connections, lambda call: self._run(call.script, call.epoch, call.keys, call.arguments)
        )
        self._sim_offset_ms = sim_offset_ms
        limits = rates or RateLimits()
        self._limits = _encode(
            (
                request_ttl_ms,
                rates is not None,
                1000 / limits.buyer_per_s,
                limits.buyer_burst,
                1000 / limits.deal_per_s,
                limits.deal_burst,
                LANE_TTL_MS,
            )
        )
        self.request_ttl_ms = request_ttl_ms

    async def close(self) -> None:
        await self.connections.close()

    async def _call(
        self, script: Script, epoch: int, keys: Sequence[str], args: Sequence[bytes | str | int]
    ) -> list[Any]:
        """Runs a script under the lane's token.

        Raises LaneCold, or Overloaded when Redis does not answer; then the script may or may not have run.
        """
        with self._tracer.script(script.name):
            return _answer_of(await self._run(script, epoch, keys, args))

    async def _carry(self, call: ScriptCall, *, items: int) -> list[Any]:
        """Runs a script as `_call` does, in one round trip with the scripts of other lanes."""
        with self._tracer.script(call.script.name):
            return _answer_of(await self._calls.carry(call, items=items))

    async def _run(
        self, script: Script, epoch: int, keys: Sequence[str], args: Sequence[bytes | str | int]
    ) -> bytes:
        """Returns what the script answered; raises Overloaded as `_call` does."""

        async def under_token(lent: Lent) -> Any:
            call = (len(keys), *keys, f"{epoch}:{lent.run_id}", *args)
            try:
                return await lent.call("EVALSHA", script.sha, *call)
            except NoScriptError:
                return await lent.call("EVAL", script.text, *call)

        return cast("bytes", await self.connections.run(keys[0], under_token))

    async def place(
        self, lane: Lane, epoch: int, items: Sequence[PlaceItem], confirmed: Confirmations
    ) -> list[PlaceResult]:
        """Places a batch atomically; results are in the order of `items`, shaped as `place.lua` says."""
        keys = LaneKeys.of(lane)
        names = [*keys.state, keys.rates, keys.earlier]
        names += [keys.request(item.request_id) for item in items]
        arguments = (self._sim_offset_ms, _encode(confirmed), self._limits, _encode(items))
        answer = await self._carry(ScriptCall(PLACE, epoch, names, arguments), items=len(items))
        return cast("list[PlaceResult]", answer[1])

    async def leave(self, lane: Lane, epoch: int, items: Sequence[tuple[str, str, str]]) -> list[str]:
        """Applies (mode, order id, request id) releases; see `leave.lua` for the outcomes."""
        keys = LaneKeys.of(lane)
        names = keys.state
        names += [keys.request(request_id) for _, _, request_id in items]
        answer = await self._call(LEAVE, epoch, names, [_encode(items)])
        return cast("list[str]", answer[1])

    async def close_groups(self, lane: Lane, epoch: int, closed: Sequence[tuple[str, str]]) -> int:
        """Marks (group id, 'full' or 'closed'); returns how many the lane knew."""
        keys = LaneKeys.of(lane)
        answer = await self._call(CLOSE, epoch, [keys.meta, keys.groups, keys.open], [_encode(closed)])
        return cast("int", answer[1])

    async def confirm(self, lane: Lane, epoch: int, confirmed: Confirmations) -> None:
        keys = LaneKeys.of(lane)
        names = [keys.meta, keys.groups, keys.pending]
        call = ScriptCall(CONFIRM, epoch, names, (_encode(confirmed),))
        await self._carry(call, items=len(confirmed.order_ids))

    async def remembers(self, lane: Lane, request_id: str) -> bool | None:
        """Says whether the lane has seated the request, at any epoch; None if Redis cannot know.

        It cannot where it has lost the lane or never held it. Raises Overloaded when Redis does not answer.
        """
        keys = LaneKeys.of(lane)
        commands = [("EXISTS", keys.request(request_id)), ("HGET", keys.meta, "token")]

        async def ask(lent: Lent) -> bool | None:
            answers = await lent.call_all(commands)
            for answer in answers:
                if isinstance(answer, ResponseError):
                    raise answer
            found, token = answers
            if found:
                return True
            is_held = token is not None and token.decode().endswith(f":{lent.run_id}")
            return False if is_held else None

        return await self.connections.run(keys.meta, ask)

    async def orphans(self, lane: Lane, epoch: int, *, age_ms: int) -> list[tuple[str, str, str]]:
        """Returns up to `ORPHANS_LISTED_MAX` (order id, request id, group id) older than `age_ms`."""
        keys = LaneKeys.of(lane)
        answer = await self._call(
            ORPHANS,
            epoch,
            [keys.meta, keys.seats, keys.pending],
            [self._sim_offset_ms, age_ms, ORPHANS_LISTED_MAX],
        )
        return [(order_id, request_id, group_id) for order_id, request_id, group_id in answer[1]]

    async def list_groups(
        self, lane: Lane, epoch: int, *, after: tuple[int, str], count: int, looks_max: int
    ) -> list[tuple[int, str, bool]]:
        """Looks at groups from behind (taken seats, group id), fullest first, until `count` are joinable.

        Returns (taken seats, group id, whether one can join) of each, `looks_max` at most.
        """
        keys = LaneKeys.of(lane)
        answer = await self._call(
            LIST,
            epoch,
            [keys.meta, keys.groups, keys.open],
            [self._sim_offset_ms, *after, count, looks_max],
        )
        return [(taken, group_id, joinable) for taken, group_id, joinable in answer[1]]

    async def take_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        """Takes up to `units` out of a lane for a transfer, once; returns how many that transfer took."""
        return await self._transfer(TAKE, lane, epoch, transfer_id, units)

    async def give_units(self, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        """Gives a lane the units of a transfer, once; returns how many the lane has left."""
        return await self._transfer(GIVE, lane, epoch, transfer_id, units)

    async def _transfer(self, script: Script, lane: Lane, epoch: int, transfer_id: str, units: int) -> int:
        keys = [LaneKeys.of(lane).meta]
        answer = await self._call(script, epoch, keys, [transfer_id, units, TRANSFERS_KEPT_MS])
        return cast("int", answer[1])

    async def units_left(self, lane: Lane, epoch: int) -> int | None:
        """Returns the units a lane has left in Redis; None where it is cold. Raises Overloaded."""
        meta = LaneKeys.of(lane).meta

        async def under_token(lent: Lent) -> int | None:
            token, left = await lent.call("HMGET", meta, "token", "units_left")
            return int(left) if token == f"{epoch}:{lent.run_id}".encode() else None

        return await self.connections.run(meta, under_token)

    async def configure(self, lane: Lane, epoch: int, *, status: str, ends_ms: int, added_units: int) -> bool:
        """Takes over the change of the deal that made `epoch` out of the one before; `ends_ms` 0 is no end.

        Returns false where only a rebuild will do. Raises LaneCold where the epoch before is not there.
        """
        keys = LaneKeys.of(lane)
        terms = _encode((status, ends_ms, added_units))
        answer = await self._call(CONFIGURE, epoch - 1, [keys.meta, keys.pending], [epoch, terms])
        return bool(answer[0] == "configured")

    async def forget(self, lane: Lane, epoch: int, buyer: str, *, alias: str, kept_units: int) -> int:
        """Takes a buyer out of a lane, except for seats and `kept_units`; returns the units the alias got.

        Raises LaneCold if the lane is not at `epoch`; the buyer is then gone from the state it had.
        """
        keys = LaneKeys.of(lane)
        names = [keys.meta, keys.seats, keys.buyers, keys.rates, keys.earlier]
        answer = await self._call(FORGET, epoch, names, [buyer, alias, kept_units])
        return cast("int", answer[1])

    async def begin_staging(self, lane: Lane, epoch: int) -> None:
        """Marks where a rebuild begins: a Redis that loses what is written later loses the mark, too."""
        key = LaneKeys.of(lane).began(epoch)

        async def mark(lent: Lent) -> None:
            await lent.call("SET", key, lent.run_id, "PX", STAGING_TTL_MS)

        await self.connections.run(key, mark)

    async def stage(
        self, lane: Lane, epoch: int, position: int, values: dict[str, Any], *, ranked: bool
    ) -> None:
        """Adds to one of the five staged keys of a rebuild (see `LaneKeys.staged`), in bounded chunks.

        `values` maps a hash field to a record, or, when `ranked`, a sorted-set member to its score.
        """
        key = LaneKeys.of(lane).staged(epoch)[position]
        pairs = list(values.items())
        for start in range(0, len(pairs), STAGING_CHUNK):
            chunk = pairs[start : start + STAGING_CHUNK]
            if ranked:
                await self.execute(
                    "ZADD", key, *(part for member, score in chunk for part in (score, member))
                )
            else:
                await self.execute(
                    "HSET", key, *(part for name, record in chunk for part in (name, _encode(record)))
                )
        if pairs:
            await self.execute("PEXPIRE", key, STAGING_TTL_MS)

    async def remember_requests(self, lane: Lane, requests: Sequence[tuple[str, str, int]]) -> None:
        """Writes the memory of recorded (request id, order id, time to live in ms), good at every epoch.

        It is written before the rebuilt state is in place, and so must hold at the epoch before.
        """
        keys = LaneKeys.of(lane)
        for start in range(0, len(requests), STAGING_CHUNK):
            commands = [
                ("SET", keys.request(request_id), f"{EPOCH_RECORDED}|{order_id}", "PX", ttl_ms)
                for request_id, order_id, ttl_ms in requests[start : start + STAGING_CHUNK]
            ]
            await self.connections.run(keys.meta, partial(_all_done, commands=commands))

    async def remember_known(self, lane: Lane, known: Iterable[tuple[str, str, int]]) -> None:
        """Does so for (request id, order id, ms since it was recorded), for as long as Postgres will."""
        await self.remember_requests(
            lane,
            [
                (request_id, order_id, self.request_ttl_ms - age_ms)
                for request_id, order_id, age_ms in known
                if age_ms < self.request_ttl_ms
            ],
        )

    async def install(
        self, lane: Lane, epoch: int, meta: dict[str, str | int], staged_sizes: Sequence[int]
    ) -> int | None:
        """Makes the staged state the lane's own; returns the newer epoch that was already there, or None.

        `staged_sizes` count what was staged under each key. Raises Overloaded if any of it is missing, or the
        mark that was made before all of it.
        """
        keys = LaneKeys.of(lane)
        names = keys.state
        flat = [str(part) for pair in meta.items() for part in pair]
        answer = await self._call(
            INSTALL,
            epoch,
            [*names, *keys.staged(epoch), keys.began(epoch)],
            [_encode(flat), _encode(staged_sizes)],
        )
        if answer[0] == "incomplete":
            raise Overloaded("the placement store lost a part of the lane on its way, try again")
        return cast("int", answer[1]) if answer[0] == "newer" else None

    async def execute(self, command: str, *args: Any) -> Any:
        """Runs one plain command, its key first; raises Overloaded when Redis does not answer in time."""
        return await self.connections.run(
            str(args[0]) if args else "", lambda lent: lent.call(command, *args)
        )

    async def dump(self, lane: Lane) -> dict[str, dict[str, Any]]:
        """Returns all of a lane's meta, groups, seats and buyers, decoded; made for audits."""
        keys = LaneKeys.of(lane)
        meta = await self.execute("HGETALL", keys.meta)
        state: dict[str, dict[str, Any]] = {
            "meta": {field.decode(): value.decode() for field, value in _pairs(meta)}
        }
        for name, key in (("groups", keys.groups), ("seats", keys.seats), ("buyers", keys.buyers)):
            records = await self.execute("HGETALL", key)
            state[name] = {field.decode(): _decode(value) for field, value in _pairs(records)}
        return state

    async def holds(self, lane: Lane) -> bool:
        """Says whether Redis has any state of the lane, at any epoch; raises Overloaded."""
        return bool(await self.execute("EXISTS", LaneKeys.of(lane).meta))

    async def is_warm(self, lane: Lane, epoch: int) -> bool:
        """Says whether this Redis, as it runs now, holds the lane at `epoch`."""
        key = LaneKeys.of(lane).meta

        async def matches(lent: Lent) -> bool:
            held = await lent.call("HGET", key, "token")
            return bool(held is not None and held.decode() == f"{epoch}:{lent.run_id}")

        return await self.connections.run(key, matches)


async def _all_done(lent: Lent, commands: Sequence[tuple[Any, ...]]) -> None:
    for answer in await lent.call_all(commands):
        if isinstance(answer, ResponseError):
            raise answer


def _answer_of(raw: bytes) -> list[Any]:
    """Reads a script's answer; raises LaneCold."""
    answer: list[Any] = _decode(raw)
    if answer[0] == "cold":
        raise LaneCold
    return answer


def _pairs(flat: list[bytes]) -> zip[tuple[bytes, bytes]]:
    """HGETALL's answer as the protocol has it: field, value, field, value."""
    return zip(flat[::2], flat[1::2], strict=True)
