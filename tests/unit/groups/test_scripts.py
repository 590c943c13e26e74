"""Every script's header is true: of its body, and of what `lane_store` sends it."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files

import msgspec
import pytest

from groups.keys import Lane
from groups.lane_store import Confirmations, LaneStore, PlaceItem
from groups.placement import refusal_of
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
    load_script,
)

pytestmark = pytest.mark.anyio

SCRIPTS = [PLACE, LEAVE, CLOSE, CONFIRM, ORPHANS, INSTALL, LIST, TAKE, GIVE, CONFIGURE, FORGET]
LANE = Lane("deal_1", 3)
EPOCH = 7
ITEMS = [PlaceItem("best", "", f"ord_{n}", f"{n:032x}", f"buyer-{n}", 1, "grp_1", "code") for n in range(3)]
RELEASES = [("free", f"ord_{n}", f"{n:032x}") for n in range(3)]
CALLS: dict[str, Callable[[LaneStore], Awaitable[object]]] = {
    "place": lambda store: store.place(LANE, EPOCH, ITEMS, Confirmations()),
    "leave": lambda store: store.leave(LANE, EPOCH, RELEASES),
    "close": lambda store: store.close_groups(LANE, EPOCH, [("grp_1", "full")]),
    "confirm": lambda store: store.confirm(LANE, EPOCH, Confirmations()),
    "orphans": lambda store: store.orphans(LANE, EPOCH, age_ms=1),
    "install": lambda store: store.install(LANE, EPOCH, {"epoch": EPOCH}, [0] * 5),
    "configure": lambda store: store.configure(LANE, EPOCH, status="active", ends_ms=0, added_units=1),
    "forget": lambda store: store.forget(LANE, EPOCH, "ann", alias="erased_1", kept_units=0),
    "take": lambda store: store.take_units(LANE, EPOCH, "mov_1", 2),
    "give": lambda store: store.give_units(LANE, EPOCH, "mov_1", 2),
    "list": lambda store: store.list_groups(LANE, EPOCH, after=(1, "grp_1"), count=1, looks_max=1),
}

_INDEX = re.compile(r"\b(KEYS|ARGV)\[([^\]]+)\]")
_DECLARED = re.compile(r"^-- (KEYS|ARGV)\[(\d+)(\.\.\.)?\] (.*)$")
_RESULT = re.compile(r"(?:return |pack\()\{?'(\w+)'")
_KEY_OF_COMMAND = re.compile(r"redis\.call\('[A-Z]+', ([^,()]+(?:\([^()]*\))?)")


class Header:
    """What the comment above a script says of its KEYS, its ARGV and its results."""

    def __init__(self, script: Script) -> None:
        source = (files("groups") / "lua" / f"{script.name}.lua").read_text("utf-8")
        comment, _, self.body = source.partition("\nlocal ")
        lines = [line for line in comment.splitlines() if line.startswith("--")]
        self.keys: dict[int, str] = {}
        self.arguments: dict[int, str] = {}
        self.keys_per_item: list[str] = []
        self.keys_per_item_from = 0
        for line in lines:
            if found := _DECLARED.match(line):
                kind, number, repeated, text = found.groups()
                if repeated:
                    self.keys_per_item_from = int(number)
                    self.keys_per_item = re.findall(r"its (\w+) key", text)
                elif kind == "KEYS":
                    self.keys[int(number)] = text
                else:
                    self.arguments[int(number)] = text
        returns = next(n for n, line in enumerate(lines) if line.startswith("-- Returns"))
        self.results = set(re.findall(r"'(\w+)'", " ".join(lines[returns:])))
        self.body = source.removeprefix(comment) if self.body else source

    def fields(self, number: int) -> list[str]:
        """The names inside the innermost braces of an argument's description."""
        (names,) = re.findall(r"\{([^{}]+)\}", self.arguments[number])
        return [name.strip() for name in names.split(",")]


def indices(script: Script, kind: str) -> set[int]:
    """Every index a script's body reads, where it counts with the values its loops would have."""
    body = code_of(script)
    used: set[int] = set()
    for array, expression in _INDEX.findall(body):
        if array != kind:
            continue
        for index in range(1, 4):
            for offset in range(5):
                used.add(value_of(expression, index=index, offset=offset))
    return used


def value_of(expression: str, *, index: int, offset: int) -> int:
    """Computes what a script writes between the brackets: sums and products of numbers and its counters."""
    numbers = {"index": index, "offset": offset}
    total = 0
    for term in expression.split("+"):
        product = 1
        for factor in term.split("*"):
            name = factor.strip()
            product *= numbers[name] if name in numbers else int(name)
        total += product
    return total


def code_of(script: Script) -> str:
    return "\n".join(line.split("--")[0] for line in script.text.splitlines())


class RecordingStore(LaneStore):
    """Keeps what it would send, and gets the answer that the call can read."""

    def __init__(self) -> None:
        # Where nobody knows yet which server has a lane, each call is made by itself.
        super().__init__("redis+cluster://nowhere.invalid", rates=None, request_ttl_ms=1000)
        self.script: Script | None = None
        self.keys: Sequence[str] = ()
        self.arguments: Sequence[bytes | str | int] = ()

    async def _run(
        self, script: Script, epoch: int, keys: Sequence[str], args: Sequence[bytes | str | int]
    ) -> bytes:
        self.script, self.keys = script, keys
        # The token goes before the others.
        self.arguments = [f"{epoch}:run", *args]
        return msgspec.msgpack.encode(["ok", []])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_body_reads_what_its_header_declares_and_all_of_it(script: Script) -> None:
    header = Header(script)
    keys, arguments = indices(script, "KEYS"), indices(script, "ARGV")
    of_items = {key for key in keys if header.keys_per_item and key >= header.keys_per_item_from}
    assert keys - of_items == set(header.keys)
    assert arguments == set(header.arguments)
    # Three items are enough to see whether each finds its own keys.
    first = header.keys_per_item_from
    assert of_items == set(range(first, first + 3 * len(header.keys_per_item)))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
async def test_the_store_sends_what_the_header_declares(script: Script) -> None:
    header = Header(script)
    store = RecordingStore()
    await CALLS[script.name](store)
    assert store.script is script
    assert len(store.arguments) == len(header.arguments)
    fixed = store.keys[: len(header.keys)]
    assert sorted(header.keys) == list(range(1, len(header.keys) + 1))
    assert [described(header.keys[number]) for number in sorted(header.keys)] == [
        last_of(key) for key in fixed
    ]
    of_items = store.keys[len(header.keys) :]
    assert len(of_items) == 3 * len(header.keys_per_item)
    for position, key in enumerate(of_items):
        assert f":{header.keys_per_item[position % len(header.keys_per_item)]}:" in key


def described(text: str) -> str:
    """`meta hash: the lane's token` -> `meta`; `staged groups` -> `staged groups`."""
    words = text.split(":")[0].split()
    return " ".join(words[:2]) if words[0] == "staged" else words[0]


def last_of(key: str) -> str:
    parts = key.rpartition("}:")[2].split(":")
    return " ".join((parts[0], parts[-1])) if len(parts) > 1 else parts[0]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_answers_only_what_its_header_says(script: Script) -> None:
    header = Header(script)
    answered = set(_RESULT.findall(code_of(script)))
    # A refusal stands in the header as {code}; each must be one that callers can read.
    for code in answered - header.results - {"unknown_group"}:
        assert script is PLACE
        assert refusal_of([code]).args
    assert header.results <= set(re.findall(r"'(\w+)'", code_of(script)))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_changes_nothing_before_it_has_looked_at_the_token(script: Script) -> None:
    before, _, after = code_of(script).partition("ARGV[1]")
    assert after
    # What stands in functions runs later; only lines without indent run as they are read.
    called = [line for line in before.splitlines() if re.match(r"(?!local function)\S.*redis\.call", line)]
    assert len(called) == 1
    assert re.search(r"redis\.call\('(HGET|HMGET)', KEYS\[1\], 'token'", called[0])
    if script is not INSTALL:
        assert re.match(r" then return cmsgpack\.pack\(\{'cold'\}\) end", after)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_builds_no_key_itself(script: Script) -> None:
    keys = [found.strip() for found in _KEY_OF_COMMAND.findall(code_of(script))]
    assert keys
    assert [
        key for key in keys if not re.fullmatch(r"KEYS\[[^\]]+\]|unpack\(KEYS, .*\)|(\w+_)?key", key)
    ] == []


def test_the_fields_of_an_item_are_those_the_headers_name() -> None:
    assert Header(PLACE).fields(5) == list(PlaceItem.__struct_fields__)
    assert Header(LEAVE).fields(2) == ["mode", "order_id", "request_id"]
    assert len(RELEASES[0]) == 3
    names = re.search(r"local (VERB[A-Z_, ]+) = ([0-9, ]+)", PLACE.text)
    assert names is not None
    assert len(names[1].split(",")) == len(names[2].split(",")) == len(PlaceItem.__struct_fields__)


async def test_the_limits_are_those_the_header_names() -> None:
    store = RecordingStore()
    await CALLS["place"](store)
    source = (files("groups") / "lua" / "place.lua").read_text("utf-8")
    described_limits = re.search(r"ARGV\[4\] limits, msgpack \{([^}]+)\}", source.replace("\n--  ", ""))
    assert described_limits is not None
    sent = store.arguments[3]
    assert isinstance(sent, bytes)
    names = described_limits[1].split(",")
    assert len(msgspec.msgpack.decode(sent)) == len(names)
    assert max(int(number) for number in re.findall(r"limits\[(\d+)\]", source)) == len(names)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_runs_on_redis_6_and_is_named_by_its_text(script: Script) -> None:
    assert not script.text.startswith("#!")
    assert "-- include:" not in script.text
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
    assert load_script(script.name) is script


def test_a_script_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_script("nowhere")


def test_every_lua_file_is_a_script_or_included_by_one() -> None:
    names = {path.name.removesuffix(".lua") for path in (files("groups") / "lua").iterdir()}
    assert names == {script.name for script in SCRIPTS} | {"lane", "transfers"}


def test_every_script_has_a_call() -> None:
    assert set(CALLS) == {script.name for script in SCRIPTS}
