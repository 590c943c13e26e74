"""The audit of offers."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="offers_are_kept",
            about="11: what deals offer is kept for their orders",
            statement=_STATEMENTS["offers_are_kept"],
            place=190,
        ),
    ),
)
