"""The hub looks once for all who watch, and only at what is watched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import msgspec
import pytest

from pintuan.base.errors import NotFound, Overloaded
from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group
from pintuan.buying.live import hub as hub_module
from pintuan.buying.live.hub import READ_BATCH_MAX, SHOWING_GAP_S_MAX, SWEEP_SLICE_MAX, Hub, Pace
from pintuan.buying.live.snapshots import snapshot_of
from pintuan.buying.live.stream import Stream
from tests.unit.buying.live.readers import Reader, settle

pytestmark = pytest.mark.anyio

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)


def group_of(group_id: str) -> Group:
    return Group(
        id=group_id,
        deal_id="deal_1",
        share_code="code",
        share_url="https://shop.example/g/code",
        status="open",
        headcount=0,
        held=1,
        max_headcount=10,
        min_headcount=2,
        unit_price=Money(900, "USD"),
        next_tier=None,
        deadline=MOMENT,
        opened_at=MOMENT,
        settled_at=None,
        final_unit_price=None,
        server_time=MOMENT,
        my_order=None,
    )


@dataclass
class Postgres:
    """Groups by id, and every statement that asked for some."""

    groups: dict[str, Group] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    broken: Exception | None = None

    async def read(self, group_ids: Sequence[str]) -> dict[str, Group]:
        self.asked.append(list(group_ids))
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        return {group_id: self.groups[group_id] for group_id in group_ids if group_id in self.groups}

    def add(self, *group_ids: str) -> None:
        self.groups |= {group_id: group_of(group_id) for group_id in group_ids}

    def join(self, group_id: str) -> None:
        group = self.groups[group_id]
        self.groups[group_id] = msgspec.structs.replace(group, held=group.held + 1)


@dataclass
class Watchers:
    """Streams on a hub, each with its reader."""

    hub: Hub
    stack: ExitStack

    async def watch(self, group_id: str) -> Reader:
        look = asyncio.create_task(self.hub.look(group_id))
        await settle()
        await self.hub.look_once()
        reader = Reader()
        stream = Stream(reader.send)
        self.stack.enter_context(self.hub.watching(group_id, stream, await look))
        await settle()
        return reader


@pytest.fixture
def postgres() -> Postgres:
    return Postgres()


@pytest.fixture
def hub(postgres: Postgres) -> Hub:
    return Hub(postgres.read, pace=Pace())


@pytest.fixture
def watchers(hub: Hub) -> Iterator[Watchers]:
    with ExitStack() as stack:
        yield Watchers(hub, stack)


async def test_changes_between_two_looks_make_one_state_for_each_watcher_and_one_statement(
    hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    postgres.add("grp_1", "grp_2")
    readers = [await watchers.watch("grp_1") for _ in range(5)]
    other = await watchers.watch("grp_2")
    postgres.asked.clear()
    for _ in range(200):
        postgres.join("grp_1")
        hub.changed(["grp_1", "grp_of_nobody"])
    await hub.look_once()
    await settle()
    assert postgres.asked == [["grp_1"]]
    assert [len(reader.states) for reader in readers] == [2] * 5
    assert len({tuple(reader.states) for reader in readers}) == 1
    assert len(other.states) == 1
    assert '"held":201' in readers[0].text


async def test_a_look_that_finds_nothing_new_tells_nobody(
    hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    postgres.add("grp_1")
    reader = await watchers.watch("grp_1")
    later = msgspec.structs.replace(postgres.groups["grp_1"], server_time=datetime.now(UTC))
    postgres.groups["grp_1"] = later
    hub.changed(["grp_1"])
    await hub.look_once()
    await settle()
    assert len(reader.states) == 1


async def test_rounds_are_a_tick_apart(postgres: Postgres) -> None:
    postgres.add("grp_1")
    hub = Hub(postgres.read, pace=Pace(tick_s=3600.0))
    rounds = asyncio.create_task(hub.look_in_rounds())
    await hub.look("grp_1")
    late = asyncio.create_task(hub.look("grp_1"))
    await settle()
    assert len(postgres.asked) == 1
    for task in (rounds, late):
        task.cancel()


async def test_news_wait_for_what_showing_cost_and_newcomers_do_not(
    postgres: Postgres, watchers: Watchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SHOWING_SHARE_MAX", 1e-12)
    monkeypatch.setattr(hub_module, "SHOWING_GAP_S_MAX", 3600.0)
    postgres.add("grp_1")
    hub = Hub(postgres.read, pace=Pace(tick_s=0.0))
    reader = await Watchers(hub, watchers.stack).watch("grp_1")
    rounds = asyncio.create_task(hub.look_in_rounds())
    postgres.join("grp_1")
    hub.changed(["grp_1"])
    await settle()
    assert len(reader.states) == 2
    for _ in range(3):
        postgres.join("grp_1")
        hub.changed(["grp_1"])
        newcomer = await hub.look("grp_1")
        assert f'"held":{postgres.groups["grp_1"].held}' in newcomer.event.decode()
        await settle()
    assert len(reader.states) == 2
    hub._news_due_s = 0.0
    await settle()
    assert len(reader.states) == 3, "what was wanted meanwhile is shown at last, and as one state"
    assert reader.states[-1] == newcomer.tag
    rounds.cancel()


async def test_news_never_wait_longer_than_a_bound(
    hub: Hub, postgres: Postgres, watchers: Watchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SHOWING_SHARE_MAX", 1e-12)
    postgres.add("grp_1")
    await watchers.watch("grp_1")
    rounds = asyncio.create_task(hub.look_in_rounds())
    began_s = asyncio.get_running_loop().time()
    hub.changed(["grp_1"])
    await settle()
    assert began_s < hub._news_due_s <= asyncio.get_running_loop().time() + SHOWING_GAP_S_MAX
    rounds.cancel()


async def test_many_who_come_at_once_share_one_look(hub: Hub, postgres: Postgres) -> None:
    postgres.add("grp_1")
    looks = [asyncio.create_task(hub.look("grp_1")) for _ in range(100)]
    await settle()
    looks[0].cancel()
    await hub.look_once()
    await asyncio.wait(looks)
    assert {look.result().tag for look in looks[1:]} == {looks[1].result().tag}
    assert postgres.asked == [["grp_1"]]


async def test_a_look_during_a_statement_waits_for_the_next(hub: Hub, postgres: Postgres) -> None:
    postgres.add("grp_1")
    first = asyncio.create_task(hub.look("grp_1"))
    await settle()
    looking = asyncio.create_task(hub.look_once())
    await asyncio.sleep(0)
    postgres.join("grp_1")
    second = asyncio.create_task(hub.look("grp_1"))
    await looking
    await first
    assert not second.done()
    await hub.look_once()
    assert (await second).tag
    assert len(postgres.asked) == 2


async def test_nothing_is_asked_about_groups_nobody_watches_any_more(
    hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    postgres.add("grp_1")
    await watchers.watch("grp_1")
    await watchers.watch("grp_1")
    hub.changed(["grp_1"])
    hub.sweep()
    watchers.stack.close()
    assert hub.group_count == 0
    assert not any(hub._beats)
    postgres.asked.clear()
    hub.changed(["grp_1"])
    hub.sweep()
    await hub.look_once()
    assert postgres.asked == []


async def test_a_sweep_goes_through_all_that_is_watched_in_slices(
    hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    names = [f"grp_{number}" for number in range(SWEEP_SLICE_MAX + 10)]
    for name in names:
        first = snapshot_of(group_of(name))
        watchers.stack.enter_context(hub.watching(name, Stream(Reader().send), first))
    hub.sweep()
    hub.changed([names[-1]])
    await hub.look_once()
    asked = [*chain(*postgres.asked)]
    assert len(asked) == SWEEP_SLICE_MAX + 1
    assert asked[0] == names[-1]
    await hub.look_once()
    assert set(chain(*postgres.asked)) == set(names)
    assert max(map(len, postgres.asked)) <= READ_BATCH_MAX
    postgres.asked.clear()
    await hub.look_once()
    assert postgres.asked == []


async def test_ids_that_can_name_no_group_never_reach_postgres(hub: Hub, postgres: Postgres) -> None:
    for text in ("", "\0", "grp\0", "é", "x" * 129, "a\nb"):
        with pytest.raises(NotFound):
            await hub.look(text)
    unknown = asyncio.create_task(hub.look("grp_0"))
    await settle()
    await hub.look_once()
    with pytest.raises(NotFound):
        await unknown
    assert postgres.asked == [["grp_0"]]


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("a defect")])
async def test_a_look_that_fails_fails_newcomers_only_and_is_made_up_for(
    error: Exception, hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    postgres.add("grp_1")
    reader = await watchers.watch("grp_1")
    postgres.broken = error
    postgres.join("grp_1")
    hub.changed(["grp_1"])
    newcomer = asyncio.create_task(hub.look("grp_1"))
    await settle()
    await hub.look_once()
    with pytest.raises((Overloaded, RuntimeError)):
        await newcomer
    postgres.broken = None
    hub.sweep()
    await hub.look_once()
    await settle()
    assert len(reader.states) == 2


async def test_a_newcomer_does_not_wait_for_ever(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_DEADLINE_S", 0.01)
    with pytest.raises(Overloaded):
        await hub.look("grp_1")


async def test_draining_ends_the_streams_there_are_and_those_that_come(
    hub: Hub, postgres: Postgres, watchers: Watchers
) -> None:
    postgres.add("grp_1")
    early = await watchers.watch("grp_1")
    hub.drain()
    late = await watchers.watch("grp_1")
    await settle()
    for reader in (early, late):
        assert not reader.messages[-1]["more_body"]
        assert len(reader.states) == 1
        assert reader.text.rstrip().splitlines()[-1].startswith("retry: ")
