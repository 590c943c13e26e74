"""What nouns keep for a process is found by its type."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from pintuan.base.process import Resources
from pintuan.base.stores.shares import Share


class Parcels:
    """What a noun that is not there would keep."""


def resources() -> Resources:
    names = [name for name in Resources.__dataclass_fields__ if name not in ("pools", "states")]
    return Resources(**{name: Mock() for name in names}, pools={Share.READS: Mock()})


def test_it_is_the_same_whichever_connections_a_call_has() -> None:
    process, parcels = resources(), Parcels()
    of_class = process.with_share(Share.READS)
    process.states[Parcels] = parcels

    assert process.state(Parcels) is of_class.state(Parcels) is parcels


def test_what_was_not_opened_is_told_by_its_name() -> None:
    with pytest.raises(LookupError, match=r"no noun has opened Parcels; the state\.py of one must"):
        resources().state(Parcels)
