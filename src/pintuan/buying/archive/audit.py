"""The audit of the archive."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="archive_is_whole",
            about="2: an archived order is over, and in one place with its payments",
            statement=_STATEMENTS["archive_is_whole"],
            place=70,
        ),
    ),
)
