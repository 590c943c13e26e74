"""The audit of the ledger."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="ledger_adds_up",
            about="7: the ledger's transactions and balances add up",
            statement=_STATEMENTS["ledger_adds_up"],
            place=150,
        ),
        AuditCheck(
            name="charges_are_in_the_ledger",
            about="7: charges, captures and refunds are in the ledger",
            statement=_STATEMENTS["charges_are_in_the_ledger"],
            place=160,
        ),
    ),
)
