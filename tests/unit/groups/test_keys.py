"""All keys of a lane live in one slot of a Redis Cluster, and no two lanes share one."""

from dataclasses import fields

import pytest

from groups.keys import PREFIX, Lane, LaneKeys

LANE = Lane("deal_1", 3)
OTHERS = [Lane("deal_1", 4), Lane("deal_2", 3), Lane("deal_1:3", 0), Lane("deal_", 13)]


def all_keys(lane: Lane) -> list[str]:
    keys = LaneKeys.of(lane)
    named = [getattr(keys, field.name) for field in fields(LaneKeys) if not field.name.startswith("_")]
    return [*named, keys.request("r"), *keys.staged(7), keys.began(7)]


def hash_tag(key: str) -> str:
    """What Redis Cluster hashes: between the first `{` and the next `}` (Redis Cluster specification)."""
    return key[key.index("{") + 1 : key.index("}")]


def test_every_key_of_a_lane_has_the_lanes_hash_tag_and_the_prefix() -> None:
    assert {hash_tag(key) for key in all_keys(LANE)} == {"deal_1:3"}
    assert all(key.startswith(f"{PREFIX}:") for key in all_keys(LANE))


def test_keys_of_a_lane_are_distinct() -> None:
    assert len(set(all_keys(LANE))) == len(all_keys(LANE))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_two_lanes_share_no_key(other: Lane) -> None:
    assert not set(all_keys(LANE)) & set(all_keys(other))


def test_rebuilds_at_different_epochs_stage_apart() -> None:
    keys = LaneKeys.of(LANE)
    assert not set(keys.staged(7)) & set(keys.staged(8))
    assert [key.rpartition(":")[2] for key in keys.staged(7)] == [
        "groups",
        "open",
        "seats",
        "freed",
        "buyers",
    ]
