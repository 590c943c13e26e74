"""Which cores run what."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks.cores import Cores, pinned, split_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins")


def test_load_gets_a_core_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 1, 2})

    assert split_cores() == Cores(frozenset({1, 2}), frozenset({3}))


def test_a_single_core_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})

    assert split_cores() == Cores(frozenset({0}), frozenset({0}))


def test_pinning_ends_with_the_block() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset({min(before)})

    with pinned(one):
        assert os.sched_getaffinity(0) == one
    with pinned(frozenset()):
        assert os.sched_getaffinity(0) == before

    assert os.sched_getaffinity(0) == before
