"""The audit of the payment gateway's events."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    notices=(
        AuditCheck(
            name="gateway_surprises",
            about="what the payment gateway did unasked",
            statement=_STATEMENTS["gateway_surprises"],
            place=20,
        ),
    ),
)
