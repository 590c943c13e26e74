"""Limits of the streams a process keeps open: in all, for one client address, for one signed-in caller."""

from __future__ import annotations

import resource
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pintuan.base.errors import Overloaded, RateLimited
from pintuan.buying.live.metrics import EVENT_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS_MAX: Final = 10_000
STREAMS_PER_CALLER_MAX: Final = 20
# A stream lives long, so a place rarely becomes free within a second.
RETRY_AFTER_S: Final = 5


class Admission:
    """Counts open streams. `per_address_max` of them may come from one client address."""

    def __init__(self, *, per_address_max: int, streams_max: int | None = None) -> None:
        self._streams_max = _streams_max() if streams_max is None else streams_max
        self._per_address_max = per_address_max
        self._of_address: Counter[str] = Counter()
        self._of_caller: Counter[str] = Counter()
        self.stream_count = 0

    @contextmanager
    def stream(self, address: str, caller: str | None) -> Iterator[None]:
        """Counts one stream for the life of the block; `caller` is None for somebody not signed in.

        Raises Overloaded when the process is full, RateLimited when the address or the caller has enough.
        """
        if self.stream_count >= self._streams_max:
            raise Overloaded("this process keeps as many streams open as it can", retry_after_s=RETRY_AFTER_S)
        if self._of_address[address] >= self._per_address_max:
            raise RateLimited("too many streams are open to this address", retry_after_s=RETRY_AFTER_S)
        if caller is not None and self._of_caller[caller] >= STREAMS_PER_CALLER_MAX:
            raise RateLimited("too many streams are open to this caller", retry_after_s=RETRY_AFTER_S)
        self.stream_count += 1
        self._of_address[address] += 1
        if caller is not None:
            self._of_caller[caller] += 1
        EVENT_STREAMS.inc()
        try:
            yield
        finally:
            EVENT_STREAMS.dec()
            self.stream_count -= 1
            _count_down(self._of_address, address)
            if caller is not None:
                _count_down(self._of_caller, caller)


def _streams_max() -> int:
    """Half of the descriptors this process may open, so that streams never keep other requests out."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return STREAMS_MAX if descriptors == resource.RLIM_INFINITY else min(STREAMS_MAX, descriptors // 2)


def _count_down(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]
