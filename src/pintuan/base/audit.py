"""How a noun declares the sums that its rows must keep, and the rows that a person should see.

A noun with such checks has an `audit.py`, which defines `AUDIT`, and their statements in `audit.sql`.
`pintuan audit` goes through all of them in one snapshot. A check may read rows of other nouns, because it
compares them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that answers (id, detail) of each fault, at most $1 rows.

    `about` of a check begins with the numbers of the invariants in ARCHITECTURE.md. The report goes by
    `place`, and nouns leave room between theirs.
    """

    name: str
    about: str
    statement: str
    place: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a noun has audited: `checks` break an invariant, `notices` only need a person."""

    checks: Sequence[AuditCheck] = ()
    notices: Sequence[AuditCheck] = ()
