"""The audit of refunds."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="refunds_are_what_was_asked",
            about="7: refunds are within the charge and add up",
            statement=_STATEMENTS["refunds_are_what_was_asked"],
            place=170,
        ),
    ),
)
