"""Streams are counted three ways, and every place is given back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pintuan.base.errors import Overloaded, RateLimited
from pintuan.buying.live.admission import STREAMS_MAX, STREAMS_PER_CALLER_MAX, Admission
from pintuan.buying.live.metrics import EVENT_STREAMS


def test_a_process_an_address_and_a_caller_have_their_limits() -> None:
    admission = Admission(per_address_max=STREAMS_PER_CALLER_MAX + 5, streams_max=STREAMS_PER_CALLER_MAX + 7)
    with ExitStack() as open_streams:
        for _ in range(STREAMS_PER_CALLER_MAX):
            open_streams.enter_context(admission.stream("198.51.100.1", "buyer ann"))
        with pytest.raises(RateLimited, match="caller"), admission.stream("198.51.100.2", "buyer ann"):
            pass
        for _ in range(5):
            open_streams.enter_context(admission.stream("198.51.100.1", None))
        with pytest.raises(RateLimited, match="address"), admission.stream("198.51.100.1", None):
            pass
        open_streams.enter_context(admission.stream("198.51.100.2", None))
        open_streams.enter_context(admission.stream("198.51.100.2", "buyer bob"))
        with pytest.raises(Overloaded) as full, admission.stream("198.51.100.3", None):
            pass
        assert full.value.retry_after_s > 0
        assert admission.stream_count == STREAMS_PER_CALLER_MAX + 7
    assert admission.stream_count == 0
    assert not admission._of_address
    assert not admission._of_caller


def test_open_streams_are_shown_to_an_operator() -> None:
    admission = Admission(per_address_max=5)
    before = EVENT_STREAMS._value.get()
    with admission.stream("198.51.100.1", None), admission.stream("198.51.100.1", None):
        assert EVENT_STREAMS._value.get() == before + 2
    assert EVENT_STREAMS._value.get() == before


def test_streams_never_take_more_than_half_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    for descriptors, expected in ((1_024, 512), (1_000_000, STREAMS_MAX), (-1, STREAMS_MAX)):
        monkeypatch.setattr("resource.getrlimit", lambda _, limit=descriptors: (limit, limit))
        assert Admission(per_address_max=1)._streams_max == expected
