"""Tellers tell a Redis how far their Postgres has come; some may be of another marketplace.

A teller is one database in one run of its Postgres server. A restored database has a new teller, because its
server was started anew; the old teller is never heard again. A marketplace that shares the Redis by mistake
is heard again and again. Times are those of the Redis that was told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

LIVING_MS: Final = 20_000
"""A teller silent for longer than this is no longer there; workers tell every five seconds."""
TELLERS_MAX: Final = 8
"""A Redis keeps this many tellers: those that told last."""
_FIELD: Final = "teller "


@dataclass(frozen=True, slots=True)
class Teller:
    """A teller as Redis knows it: its last beacon, and when it told first and last."""

    name: str
    beacon: str
    since_ms: int
    told_ms: int
    database: str

    @property
    def title(self) -> str:
        """Names it for an operator."""
        system, _, _ = self.name.partition(":")
        return f"database {self.database} of the Postgres with system identifier {system}"


@dataclass(frozen=True, slots=True)
class Tellers:
    """The tellers of one Redis, by their names, and its time now."""

    now_ms: int
    known: Mapping[str, Teller]

    @classmethod
    def of(cls, now_ms: int, fields: Mapping[str, str]) -> Tellers:
        """Reads them from the fields of a server's history."""
        known = {}
        for field, value in fields.items():
            if field.startswith(_FIELD):
                name = field.removeprefix(_FIELD)
                beacon, since_ms, told_ms, database = value.split(" ", 3)
                known[name] = Teller(name, beacon, int(since_ms), int(told_ms), database)
        return cls(now_ms, known)

    def living_strangers(self, own: str, lit: Collection[str]) -> list[Teller]:
        """Returns tellers heard lately whose beacons this database never lit.

        After a failover that lost commits its own past may be among them for a while. `own` names the
        database's teller, `lit` holds the beacons it has lit.
        """
        return [
            teller
            for teller in self.known.values()
            if teller.name != own and teller.beacon not in lit and self._is_living(teller)
        ]

    def neighbours(self, own: str, lit: Collection[str]) -> list[Teller]:
        """Returns strangers that were heard after `own` had begun to tell: no restore explains that."""
        mine = self.known.get(own)
        if mine is None:
            return []
        return [teller for teller in self.living_strangers(own, lit) if teller.told_ms > mine.since_ms]

    def came_before(self, own: str, other: Teller) -> bool:
        """Says whether `own` told before the other one did, and is still heard."""
        mine = self.known.get(own)
        return mine is not None and self._is_living(mine) and mine.since_ms < other.since_ms

    def told(self, own: str, beacon: str, database: str) -> dict[str, str]:
        """Returns the field that says so, with its value."""
        mine = self.known.get(own)
        since_ms = self.now_ms if mine is None else mine.since_ms
        return {f"{_FIELD}{own}": f"{beacon} {since_ms} {self.now_ms} {database}"}

    def outdated(self, own: str) -> list[str]:
        """Returns the fields of tellers beyond the last `TELLERS_MAX`."""
        others = [teller for teller in self.known.values() if teller.name != own]
        others.sort(key=lambda teller: teller.told_ms, reverse=True)
        return [f"{_FIELD}{teller.name}" for teller in others[TELLERS_MAX - 1 :]]

    def _is_living(self, teller: Teller) -> bool:
        # After a failover of Redis to a slower clock a time may lie ahead.
        return abs(self.now_ms - teller.told_ms) < LIVING_MS
