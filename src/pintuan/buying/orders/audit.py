"""The audit of orders and their buyers."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="buyers_within_their_limit",
            about="3: counted units of buyers are right and within the limit",
            statement=_STATEMENTS["buyers_within_their_limit"],
            place=50,
        ),
        AuditCheck(
            name="requests_lead_to_their_orders",
            about="4: the key of every order leads to it",
            statement=_STATEMENTS["requests_lead_to_their_orders"],
            place=80,
        ),
        AuditCheck(
            name="charges_keep_promises",
            about="6: every charge is min(promise, settled price)",
            statement=_STATEMENTS["charges_keep_promises"],
            place=110,
        ),
    ),
    notices=(
        AuditCheck(
            name="cards_shared_by_accounts",
            about="cards that several accounts pay with",
            statement=_STATEMENTS["cards_shared_by_accounts"],
            place=50,
        ),
        AuditCheck(
            name="addresses_shared_by_accounts",
            about="addresses that several accounts send to",
            statement=_STATEMENTS["addresses_shared_by_accounts"],
            place=60,
        ),
    ),
)
