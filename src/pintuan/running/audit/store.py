"""The checks that one statement decides, named as in `queries.sql`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import msgspec

from groups.keys import Lane
from sql import Connection, load_queries

AUDIT: Final = load_queries(__package__)

# More offenders than a person reads at once; the count says when there may be more.
OFFENDERS_MAX: Final = 100
SETTLED_PAGE: Final = 1_000
AUDIT_STATEMENT_TIMEOUT_S: Final = 120.0

# What breaks one of these is wrong. Numbers are those of the invariants in ARCHITECTURE.md.
CHECKS: Final[dict[str, str]] = {
    "seats_within_capacity": "1, 3: live seats are distinct and within capacity",
    "orders_belong_to_their_group": "1: every seat is in a group of its deal and lane",
    "lanes_count_what_is_sold": "1: a lane's sold units are those of its live orders",
    "lanes_add_up_to_the_stock": "1: the lanes' stock adds up to the deal's",
    "buyers_within_their_limit": "3: counted units of buyers are right and within the limit",
    "new_cards_within_their_limit": "3: no group has more new cards than its deal allows",
    "archive_is_whole": "2: an archived order is over, and in one place with its payments",
    "requests_lead_to_their_orders": "4: the key of every order leads to it",
    "headcounts_are_authorised_members": "5: headcounts are the authorised members",
    "groups_close_in_time": "5: no group closed early, and only ended groups are unwatched",
    "charges_keep_promises": "6: every charge is min(promise, settled price)",
    "captures_take_the_charge": "6, 7: captures take exactly the charge",
    "authorisations_end": "7: authorisations of ended orders are captured or voided",
    "orders_are_paid_for_once": "7: no order is both captured and voided",
    "ledger_adds_up": "7: the ledger's transactions and balances add up",
    "charges_are_in_the_ledger": "7: charges, captures and refunds are in the ledger",
    "refunds_are_what_was_asked": "7: refunds are within the charge and add up",
    "sandbox_books_agree": "7: the sandbox's books agree with ours",
}
# What these find needs a person, and breaks no invariant.
NOTICES: Final[dict[str, str]] = {
    "escalated_operations": "payment operations given up on",
    "gateway_surprises": "what the payment gateway did unasked",
    "overdue_groups": "groups that wait for a worker",
    "rows_set_aside": "rows that sweeps fail on",
    "cards_shared_by_accounts": "cards that several accounts pay with",
    "addresses_shared_by_accounts": "addresses that several accounts send to",
}


class Offender(msgspec.Struct, frozen=True):
    """What breaks a check, and how."""

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


async def offenders(connection: Connection, check: str) -> list[Offender]:
    """Returns up to `OFFENDERS_MAX` of what breaks a check."""
    rows = await connection.fetch(AUDIT[check], OFFENDERS_MAX, timeout=AUDIT_STATEMENT_TIMEOUT_S)
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
