"""The checks that one statement decides, those of all nouns, and the lists that others go through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import msgspec

from groups.keys import Lane
from pintuan import nouns
from pintuan.base.audit import AuditCheck
from sql import Connection, load_queries

AUDIT: Final = load_queries(__package__)

# More offenders than a person reads at once; the count says when there may be more.
OFFENDERS_MAX: Final = 100
SETTLED_PAGE: Final = 1_000
AUDIT_STATEMENT_TIMEOUT_S: Final = 120.0

# Rows of any noun that sweeps failed on.
SETBACKS: Final = AuditCheck(
    name="rows_set_aside", about="rows that sweeps fail on", statement=AUDIT["rows_set_aside"], place=40
)
# Events of any noun that nobody hears.
UNHEARD: Final = AuditCheck(
    name="unheard_events",
    about="nouns that do not hear what happened",
    statement=AUDIT["unheard_events"],
    place=45,
)


class Offender(msgspec.Struct, frozen=True):
    """A row that breaks a check, and how."""

    id: str
    detail: str


class SettledGroup(msgspec.Struct, frozen=True):
    """A settled group with all that its price follows from."""

    id: str
    status: str
    min_headcount: int
    tier_headcounts: list[int]
    tier_prices_minor: list[int]
    final_headcount: int
    final_unit_price_minor: int


def checks() -> list[AuditCheck]:
    """Returns the checks of which none may find anything, in the order of the report."""
    return sorted((check for noun in nouns.audits() for check in noun.checks), key=_place)


def notices() -> list[AuditCheck]:
    """Returns the checks that find what needs a person, in the order of the report."""
    found = [check for noun in nouns.audits() for check in noun.notices]
    return sorted((*found, SETBACKS, UNHEARD), key=_place)


def _place(check: AuditCheck) -> int:
    return check.place


async def offenders(connection: Connection, check: AuditCheck) -> list[Offender]:
    """Returns up to `OFFENDERS_MAX` rows that break a check."""
    rows = await connection.fetch(check.statement, OFFENDERS_MAX, timeout=AUDIT_STATEMENT_TIMEOUT_S)
    return [Offender(row["id"], row["detail"]) for row in rows]


async def settled_groups(connection: Connection) -> AsyncIterator[SettledGroup]:
    """Yields every settled group, reading `SETTLED_PAGE` at a time."""
    after = ""
    while True:
        rows = await connection.fetch(AUDIT["settled_groups"], after, SETTLED_PAGE)
        for row in rows:
            yield SettledGroup(**row)
        if len(rows) < SETTLED_PAGE:
            return
        after = rows[-1]["id"]


async def watched_lanes(pool: asyncpg.Pool, after: Lane, *, limit: int) -> list[Lane]:
    """Returns up to `limit` lanes whose seats may need a look, in order, from just behind `after`."""
    rows = await pool.fetch(AUDIT["watched_lanes"], after.deal_id, after.lane_no, limit)
    return [Lane(row["deal_id"], row["lane_no"]) for row in rows]
