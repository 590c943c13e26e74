"""What the servers of a cluster say of its slots."""

from collections.abc import Callable

import pytest
from redis.exceptions import AskError, MovedError, ResponseError

from groups.cluster import SERVERS_MAX, _named_by, _slots_of
from groups.connections import Home

ASKED = Home("redis-1", 7000)


def test_each_slot_is_held_by_the_first_server_of_its_range() -> None:
    answer = [
        [0, 99, [b"10.0.0.1", 7000, b"id-1"], [b"10.0.0.9", 7000, b"id-9"]],
        [100, 16_383, [b"10.0.0.2", 7001, b"id-2"]],
    ]
    slots = _slots_of(answer, ASKED)
    assert (slots[0], slots[99]) == (Home("10.0.0.1", 7000),) * 2
    assert (slots[100], slots[16_383]) == (Home("10.0.0.2", 7001),) * 2
    assert len(slots) == 16_384


@pytest.mark.parametrize("nameless", [b"", b"?", None])
def test_a_server_without_a_name_is_reached_by_the_one_used_to_ask(nameless: bytes | None) -> None:
    slots = _slots_of([[5, 5, [nameless, 7005, b"id"]]], ASKED)
    assert (slots[4], slots[5], slots[6]) == (None, Home("redis-1", 7005), None)


def test_a_cluster_that_nobody_formed_is_no_answer() -> None:
    with pytest.raises(ResponseError, match="no server that holds slots"):
        _slots_of([], ASKED)


def test_more_servers_than_a_cluster_may_have_are_refused() -> None:
    answer = [[slot, slot, [b"10.0.0.1", slot + 1, b"id"]] for slot in range(SERVERS_MAX + 1)]
    with pytest.raises(ResponseError, match="servers with slots"):
        _slots_of(answer, ASKED)


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (MovedError, "3999 10.0.0.3:7003", Home("10.0.0.3", 7003)),
        (AskError, "3999 ::1:7003", Home("::1", 7003)),
        (MovedError, "3999 :7003", Home("redis-1", 7003)),
    ],
)
def test_a_redirection_names_a_server(kind: Callable[[str], AskError], text: str, named: Home) -> None:
    assert _named_by(kind(text), ASKED) == named
