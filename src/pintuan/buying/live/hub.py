"""The hub of an API process: looks at the groups somebody watches, once for all who watch.

Postgres is asked in rounds, at most one in `TICK_S`. Each reads the groups that signals named, those that a
new watcher asks for, and a slice of those that are due for the sweep. The load on Postgres therefore depends
on how many groups change, not on how many people watch. No stream gets more than one state a round.

To show a state to thousands of streams takes time that joins want too. The cost of one showing therefore
decides when the next may come: the more people watch, and the busier the process, the more changes each state
takes in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg
import structlog

from pintuan.base.errors import NotFound, Overloaded
from pintuan.buying.live.snapshots import Snapshot, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pintuan.buying.groups.schemas import Group
    from pintuan.buying.live.stream import Stream

Read: TypeAlias = Callable[[Sequence[str]], Awaitable["dict[str, Group]"]]
Looks: TypeAlias = "dict[str, asyncio.Future[Snapshot | Exception]]"

# Four states a second at most, for each stream and for Postgres.
TICK_S: Final = 0.25
# The share of the process' time for showing states, as long as it leaves at least a state a second. Watchers
# want to see the last seats go, and buyers want to be served.
SHOWING_SHARE_MAX: Final = 0.05
SHOWING_GAP_S_MAX: Final = 1.0
# The most that a lost signal costs, while no more groups are watched than the slices of that time hold.
SWEEP_S: Final = 2.0
SWEEP_SLICE_MAX: Final = 500
# Groups one statement reads.
READ_BATCH_MAX: Final = 200
# The time a new watcher waits for its group to be read.
LOOK_DEADLINE_S: Final = 5.0
HEARTBEAT_S: Final = 15.0
# Heartbeats are spread over this many steps, and a change over turns of the loop of this many streams.
HEARTBEAT_STEPS: Final = 60
FAN_OUT_MAX: Final = 200
ID_LENGTH_MAX: Final = 128

_logger = structlog.get_logger("pintuan.buying.live")


@dataclass(frozen=True, slots=True)
class Pace:
    """The periods of the hub, in seconds; tests choose their own."""

    tick_s: float = TICK_S
    sweep_s: float = SWEEP_S
    heartbeat_s: float = HEARTBEAT_S


class Hub:
    """Shows streams the state of their groups. `read` reads groups as they stand now, by id."""

    def __init__(self, read: Read, *, pace: Pace) -> None:
        self._read = read
        self._pace = pace
        self._watched: dict[str, set[Stream]] = {}
        self._beats: list[set[Stream]] = [set() for _ in range(HEARTBEAT_STEPS)]
        self._arrivals = count()
        self._looks: Looks = {}
        self._changed: dict[str, None] = {}
        self._to_sweep: dict[str, None] = {}
        self._wanted = asyncio.Event()
        self._news_due_s = 0.0
        self._failing = False
        self._draining = False

    @property
    def group_count(self) -> int:
        """The number of watched groups."""
        return len(self._watched)

    async def look(self, group_id: str) -> Snapshot:
        """Returns the group's state, read after this call; everybody who asks meanwhile shares the answer.

        Raises NotFound, or Overloaded when Postgres does not answer in time.
        """
        if not _is_id(group_id):
            raise NotFound("group")
        answer = self._looks.get(group_id)
        if answer is None:
            answer = self._looks[group_id] = asyncio.get_running_loop().create_future()
        self._wanted.set()
        try:
            async with asyncio.timeout(LOOK_DEADLINE_S):
                outcome = await asyncio.shield(answer)
        except TimeoutError:
            raise Overloaded("the group could not be read in time") from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def watching(self, group_id: str, stream: Stream, first: Snapshot) -> Iterator[None]:
        """Shows the stream `first`, the answer of `look`, and every later state within the block."""
        streams = self._watched.setdefault(group_id, set())
        streams.add(stream)
        beats = self._beats[next(self._arrivals) % HEARTBEAT_STEPS]
        beats.add(stream)
        try:
            stream.show(first)
            if self._draining:
                stream.end()
            yield
        finally:
            beats.discard(stream)
            streams.discard(stream)
            if not streams:
                self._forget(group_id)

    def changed(self, group_ids: Iterable[str]) -> None:
        """Has those of the groups that are watched looked at in the next round."""
        for group_id in group_ids:
            if group_id in self._watched:
                self._changed[group_id] = None
                self._wanted.set()

    def sweep(self) -> None:
        """Has every watched group looked at, a slice a round."""
        if self._watched:
            self._to_sweep = dict.fromkeys(self._watched)
            self._wanted.set()

    def drain(self) -> None:
        """Ends every stream, now and from now on, so that its reader connects elsewhere."""
        self._draining = True
        for streams in self._watched.values():
            for stream in streams:
                stream.end()

    async def look_in_rounds(self) -> None:
        """Looks at what is wanted until it is cancelled; newcomers never wait for news to be due."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._wanted.wait()
            if clock() < self._news_due_s:
                await self.look_for_newcomers()
            else:
                cost_s = await self.look_once()
                self._news_due_s = clock() + min(SHOWING_GAP_S_MAX, cost_s / SHOWING_SHARE_MAX)
            await asyncio.sleep(self._pace.tick_s)

    async def sweep_now_and_then(self) -> None:
        """Finds what no signal told of, until it is cancelled."""
        while True:
            await asyncio.sleep(self._pace.sweep_s)
            self.sweep()

    async def keep_alive(self) -> None:
        """Sends each stream a heartbeat in its turn, until it is cancelled."""
        while True:
            for streams in self._beats:
                await asyncio.sleep(self._pace.heartbeat_s / HEARTBEAT_STEPS)
                for stream in streams:
                    stream.beat()

    async def look_for_newcomers(self) -> None:
        """Reads the groups of new watchers and tells nobody else; groups that others wait for stay wanted."""
        looks, self._looks = self._looks, {}
        if looks:
            await self._look_at_all(list(looks), looks, show=False)

    async def look_once(self) -> float:
        """Reads the wanted groups and shows them; the next sweep reads those that failed.

        Returns what showing it cost, in seconds of this thread's processor time. The process' other work in
        between counts too, so that a busy process shows less often.
        """
        self._wanted.clear()
        looks, self._looks = self._looks, {}
        changed, self._changed = self._changed, {}
        swept = [group_id for group_id, _ in zip(self._to_sweep, range(SWEEP_SLICE_MAX), strict=False)]
        for group_id in swept:
            del self._to_sweep[group_id]
        if self._to_sweep:
            self._wanted.set()
        return await self._look_at_all(list(dict.fromkeys((*looks, *changed, *swept))), looks, show=True)

    async def _look_at_all(self, group_ids: list[str], looks: Looks, *, show: bool) -> float:
        """Reads groups and answers the looks; with `show` also tells who watches; returns what that cost."""
        cost_s = 0.0
        for first in range(0, len(group_ids), READ_BATCH_MAX):
            batch = group_ids[first : first + READ_BATCH_MAX]
            snapshots = await self._look_at(batch, {id_: looks[id_] for id_ in batch if id_ in looks})
            if not show:
                continue
            began_s = time.thread_time()
            for group_id, snapshot in snapshots.items():
                await self._show(group_id, snapshot)
            cost_s += time.thread_time() - began_s
        return cost_s

    async def _look_at(self, group_ids: list[str], looks: Looks) -> dict[str, Snapshot]:
        snapshots: dict[str, Snapshot] = {}
        failure: Exception | None = None
        try:
            groups = await self._read(group_ids)
            snapshots = {group_id: snapshot_of(group) for group_id, group in groups.items()}
            self._failing = False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not self._failing:
                _logger.warning("watched groups not read; the sweep tries again", error=repr(error))
            self._failing = True
            failure = Overloaded("the group could not be read")
        except Exception as error:
            # The rounds go on after any error of a look: all watchers of the process depend on them.
            _logger.exception("watched groups not read")
            failure = error
        for group_id, answer in looks.items():
            if not answer.done():
                answer.set_result(snapshots.get(group_id) or failure or NotFound("group"))
        return snapshots

    async def _show(self, group_id: str, snapshot: Snapshot) -> None:
        for number, stream in enumerate(list(self._watched.get(group_id, ())), start=1):
            stream.show(snapshot)
            if number % FAN_OUT_MAX == 0:
                await asyncio.sleep(0)

    def _forget(self, group_id: str) -> None:
        self._watched.pop(group_id, None)
        self._changed.pop(group_id, None)
        self._to_sweep.pop(group_id, None)


def _is_id(text: str) -> bool:
    """An id that Postgres' text cannot hold would spoil the look at all the others."""
    return 1 <= len(text) <= ID_LENGTH_MAX and text.isascii() and text.isprintable()
