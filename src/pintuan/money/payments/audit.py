"""The audit of payments."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="new_cards_within_their_limit",
            about="3: no group has more new cards than its deal allows",
            statement=_STATEMENTS["new_cards_within_their_limit"],
            place=60,
        ),
        AuditCheck(
            name="captures_take_the_charge",
            about="6, 7: captures take exactly the charge",
            statement=_STATEMENTS["captures_take_the_charge"],
            place=120,
        ),
        AuditCheck(
            name="authorisations_end",
            about="7: authorisations of ended orders are captured or voided",
            statement=_STATEMENTS["authorisations_end"],
            place=130,
        ),
        AuditCheck(
            name="orders_are_paid_for_once",
            about="7: no order is both captured and voided",
            statement=_STATEMENTS["orders_are_paid_for_once"],
            place=140,
        ),
        AuditCheck(
            name="sandbox_books_agree",
            about="7: the sandbox's books agree with ours",
            statement=_STATEMENTS["sandbox_books_agree"],
            place=180,
        ),
    ),
    notices=(
        AuditCheck(
            name="escalated_operations",
            about="payment operations given up on",
            statement=_STATEMENTS["escalated_operations"],
            place=10,
        ),
    ),
)
