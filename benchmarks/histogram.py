"""Latencies in an HDR histogram: three significant digits from a microsecond to a minute, however many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from hdrh.histogram import HdrHistogram

from benchmarks.result import LatencySummary

if TYPE_CHECKING:
    from collections.abc import Iterable

LATENCY_US_MAX: Final = 60_000_000
DIGITS: Final = 3
# Where the curve of a report has its points; the tail is what matters, so they get denser towards it.
PERCENTILES: Final = (
    *(float(percent) for percent in range(0, 90, 5)),
    *(90 + 0.5 * step for step in range(19)),
    *(99 + 0.1 * step for step in range(1, 10)),
    *(99.9 + 0.01 * step for step in range(1, 10)),
    99.999,
    100.0,
)


class Latencies:
    """Latencies of calls; those of several runs add up."""

    def __init__(self, encoded: bytes | None = None) -> None:
        self._histogram = (
            HdrHistogram(1, LATENCY_US_MAX, DIGITS) if encoded is None else HdrHistogram.decode(encoded)
        )

    def record(self, latency_s: float) -> None:
        """Counts one call; what took longer than the longest latency counts as that."""
        self._histogram.record_value(min(LATENCY_US_MAX, max(1, round(latency_s * 1e6))))

    def encoded(self) -> bytes:
        """Everything in a few hundred bytes of base64, for `Latencies(encoded)`."""
        encoded: bytes = self._histogram.encode()
        return encoded

    def add(self, other: Latencies) -> None:
        """Counts another's calls, too."""
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        """How many calls were counted."""
        count: int = self._histogram.get_total_count()
        return count

    def at_ms(self, percentile: float) -> float:
        """The latency that `percentile` in a hundred calls did not exceed; 0 without any."""
        latency_us: float = self._histogram.get_value_at_percentile(percentile) if self.count else 0
        return latency_us / 1000

    def summary(
        self, identifier: str, what: str, *, arrivals: Literal["open", "closed"], rate_per_s: float
    ) -> LatencySummary:
        """What a report shows of it; calls came, or were answered, `rate_per_s` times a second."""
        return LatencySummary(
            identifier,
            what,
            arrivals,
            self.count,
            rate_per_s,
            self.at_ms(50),
            self.at_ms(90),
            self.at_ms(99),
            self.at_ms(99.9),
            self.at_ms(100),
            tuple((percentile, self.at_ms(percentile)) for percentile in PERCENTILES),
        )


def sum_of(encoded: Iterable[bytes]) -> Latencies:
    """Returns the latencies of several phases as one."""
    total = Latencies()
    for one in encoded:
        total.add(Latencies(one))
    return total
