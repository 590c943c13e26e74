"""The bytes a process keeps of answers that their clients do not take.

An answer is kept until its client has read it, and a client can ask for a large one and read nothing. Kept
bytes are counted by connection, by address and in all. Beyond the bounds the connections end that have kept
most for longest: a client that reads, however slowly, keeps less and less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from pintuan.base.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
WAITING_BYTES_PER_ADDRESS_MAX: Final = 16 * 1024 * 1024
UNCOUNTED_BYTES_MAX: Final = 16 * 1024
"""The bound of a connection. Smaller amounts are not looked at."""
GRACE_S: Final = 10.0
BYTES_PER_S_MIN: Final = 8 * 1024
"""A client has the grace, and the time that what waits for it takes at this rate."""

_logger = structlog.get_logger("pintuan.http")

# There from the start, so that a graph says 0 as long as there was none.
for _reason in ("slow", "address", "process"):
    metrics.HTTP_UNREAD.labels(_reason)


class Unread(Protocol):
    """A connection whose client has not taken all of an answer."""

    def waiting_bytes(self) -> int:
        """Returns how much waits now."""

    def hang_up(self) -> None:
        """Ends the connection and drops what waits."""


class _Entry(msgspec.Struct):
    address: str
    since_s: float
    size_bytes: int


class UnreadAnswers:
    """The answers of a process that wait for their clients."""

    def __init__(
        self,
        *,
        bytes_max: int = WAITING_BYTES_MAX,
        bytes_per_address_max: int = WAITING_BYTES_PER_ADDRESS_MAX,
    ) -> None:
        self._bytes_max = bytes_max
        self._bytes_per_address_max = bytes_per_address_max
        self._entries: dict[Unread, _Entry] = {}
        # As of when each began to wait: never too little, because nothing is added to an answer that waits.
        self.waiting_bytes = 0
        self._by_address: dict[str, int] = {}

    def begin(self, answer: Unread, address: str, now_s: float) -> None:
        """Counts an answer that begins to wait, and ends others, or this one, where that is too much.

        `address` is empty for a client who speaks for many; those are counted for the process alone.
        """
        self.end(answer)
        entry = self._entries[answer] = _Entry(address, now_s, 0)
        self._resize(entry, answer.waiting_bytes())
        if address and self._by_address[address] > self._bytes_per_address_max:
            of_address = [one for one, entry in self._entries.items() if entry.address == address]
            self._make_room(of_address, self._bytes_per_address_max, now_s, "address")
        if self.waiting_bytes > self._bytes_max:
            self._make_room(list(self._entries), self._bytes_max, now_s, "process")

    def end(self, answer: Unread) -> None:
        """Stops counting an answer: it was taken, or its connection ended. Doing it twice changes nothing."""
        entry = self._entries.pop(answer, None)
        if entry is None:
            return
        self._resize(entry, 0)
        if not self._by_address[entry.address]:
            del self._by_address[entry.address]

    def give_up(self, answer: Unread, reason: str) -> None:
        """Ends the connection of an answer; `reason` is `slow`, or whose bound was met."""
        entry = self._entries.get(answer)
        size_bytes = 0 if entry is None else entry.size_bytes
        self.end(answer)
        metrics.HTTP_UNREAD.labels(reason).inc()
        _logger.info("hung up on a client that does not read", reason=reason, waiting_bytes=size_bytes)
        answer.hang_up()

    def _make_room(self, answers: Iterable[Unread], bytes_max: int, now_s: float, reason: str) -> None:
        """Ends those that kept most for longest; one alone may be of any size."""
        entries = {answer: self._entries[answer] for answer in answers}
        for answer, entry in entries.items():
            self._resize(entry, answer.waiting_bytes())
        size_bytes = sum(entry.size_bytes for entry in entries.values())
        by_burden = sorted(
            entries,
            key=lambda one: (
                entries[one].size_bytes * (now_s - entries[one].since_s),
                entries[one].size_bytes,
            ),
            reverse=True,
        )
        for answer in by_burden[: len(by_burden) - 1]:
            if size_bytes <= bytes_max:
                return
            size_bytes -= entries[answer].size_bytes
            self.give_up(answer, reason)

    def _resize(self, entry: _Entry, size_bytes: int) -> None:
        more = size_bytes - entry.size_bytes
        entry.size_bytes = size_bytes
        self.waiting_bytes += more
        self._by_address[entry.address] = self._by_address.get(entry.address, 0) + more
