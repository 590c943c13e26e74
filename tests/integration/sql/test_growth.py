"""Statements that run often never read a whole table that grows: each finds its rows by an index."""

import json
from typing import Any, Final

import asyncpg
import pytest

from tests.market import Market
from tests.query_files import query_files

pytestmark = pytest.mark.anyio

QUERIES: Final = {file.noun: file.queries for file in query_files()}
GROUPS: Final = 300
SMALL_MEMBERS: Final = 3
LARGE_MEMBERS: Final = 500
GROWING: Final = frozenset(
    {
        "archived_orders",
        "deal_buyers",
        "group_progress",
        "groups",
        "idempotency_keys",
        "invites",
        "ledger_postings",
        "orders",
        "payment_operations",
        "refunds",
        "seat_releases",
    }
)
# What these partial indexes hold is under way, and is gone in minutes; reading one whole is no growth.
PASSING: Final = frozenset({"group_progress_due", "orders_unpaid", "payment_operations_due"})
OFTEN: Final = {
    "erasures": ["due_erasures", "finish_erasure"],
    "forgetting": ["insert_forgotten", "forgotten_buyers"],
    "gateway_events": ["find_order_of_event", "read_operation_states"],
    "groups": ["select_groups", "group_of_share_code", "select_order_in_group"],
    "invites": ["invited_group", "list_invites", "count_invites"],
    "lanes": ["rebuild_groups", "lane_of_group"],
    "health": ["read_waits"],
    "ledger": ["statement_page"],
    "lifecycle": [
        "due_groups",
        "lock_members",
        "count_members",
        "has_open_operations",
        "due_unpaid",
        "expire_unpaid",
        "due_seat_releases",
        "take_seat_releases",
        "lock_leaderless_groups",
        "pass_lead",
        "cancel_verdict",
    ],
    "nudges": ["due_nudges", "take_due_nudges", "members_in", "members_released"],
    "orders": ["select_order", "list_orders", "export_orders", "lock_ended_orders", "any_order_of"],
    "payments": ["claim_due_operations", "lock_orders", "judge_cards", "count_new_cards"],
    "placements": ["orphan_verdicts", "group_verdict", "recorded_request"],
    "receipts": ["select_receipt"],
    "refunds": ["lock_refundable_order", "refunds_so_far"],
    "selling": ["page_of_sales", "page_of_group_sales", "page_of_groups", "select_sales", "sum_groups"],
    "stripe": ["find_gateway_payment"],
    "sweeps": ["next_group_check_ms"],
}


async def test_statements_that_run_often_find_their_rows_by_an_index(
    pool: asyncpg.Pool, market: Market
) -> None:
    reading_everything = []
    async with pool.acquire() as connection:
        await _fill(connection, await market.deal(max_headcount=SMALL_MEMBERS + LARGE_MEMBERS))
        for noun, names in OFTEN.items():
            for name in names:
                plan = await _plan(connection, QUERIES[noun][name])
                if any(_reads_everything(node) for node in _nodes(plan)):
                    reading_everything.append(f"{noun}.{name}")

    assert reading_everything == []


async def test_whether_a_member_may_leave_is_read_off_the_lowest_promise(
    pool: asyncpg.Pool, market: Market
) -> None:
    """It is the end of an index, so that those who stay need not be looked at one by one."""
    async with pool.acquire() as connection:
        await _fill(connection, await market.deal(max_headcount=SMALL_MEMBERS + LARGE_MEMBERS))
        plan = await _plan(connection, QUERIES["lifecycle"]["cancel_verdict"])

    (pending,) = [node for node in _nodes(plan) if node.get("Index Name") == "orders_pending_of_group"]
    assert "promised_unit_minor <" in pending["Index Cond"]


@pytest.mark.parametrize(("noun", "name"), [("groups", "select_groups"), ("listing", "groups_of_cold_lanes")])
async def test_held_seats_are_counted_without_those_of_other_groups(
    pool: asyncpg.Pool, market: Market, noun: str, name: str
) -> None:
    """In a flash sale most are held in one group, after statistics were made that know of none."""
    async with pool.acquire() as connection:
        await _fill(connection, await market.deal(max_headcount=SMALL_MEMBERS + LARGE_MEMBERS))
        plan = await _plan(connection, QUERIES[noun][name])

    used = {node["Index Name"] for node in _nodes(plan) if node.get("Index Name", "").startswith("orders_")}
    assert used == {"orders_pending_of_group"}


async def test_unpaid_seats_are_found_by_when_their_time_ran_out_however_many_there_are(
    pool: asyncpg.Pool, market: Market
) -> None:
    """The newest orders are the ones that are held, at the far end of the primary key."""
    async with pool.acquire() as connection:
        await _fill(connection, await market.deal(max_headcount=SMALL_MEMBERS + LARGE_MEMBERS))
        await connection.execute("ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET status = 'held'")
        await connection.execute("ANALYZE orders")
        plan = await _plan(connection, QUERIES["lifecycle"]["due_unpaid"])

    (unpaid,) = [node for node in _nodes(plan) if node.get("Index Name") == "orders_unpaid"]
    assert "hold_until <=" in unpaid["Index Cond"]


async def _fill(connection: Any, deal_id: str) -> None:
    """Makes small groups and a large one, enough of them for the planner to tell indexes apart."""
    await connection.execute(
        "INSERT INTO groups (id, deal_id, lane_no, share_code, leader_order_id, capacity, min_headcount,"
        " tier_headcounts, tier_prices_minor, currency, opened_at, deadline)"
        " SELECT 'grp_' || n, $1, 0, 'code' || n, 'ord_' || n || '_1', $2, 2, '{2}', '{900}', 'USD',"
        " app_now(), app_now() + interval '1 day' FROM generate_series(1, $3::integer) AS n",
        deal_id,
        SMALL_MEMBERS + LARGE_MEMBERS,
        GROUPS,
    )
    await connection.execute(
        "INSERT INTO group_progress (group_id, capacity, check_at) SELECT id, capacity, deadline FROM groups"
    )
    await connection.execute(
        "INSERT INTO orders (id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id, quantity,"
        " status, currency, promised_unit_minor, payment_method, request_id, hold_until, created_at,"
        " updated_at)"
        " SELECT 'ord_' || n || '_' || seat, $1, 0, 'grp_' || n, seat, $2, 'usr_' || seat, 1, 'authorised',"
        " 'USD', 900, 'pm_ok', sha224((n || '/' || seat)::bytea), app_now(), app_now(), app_now()"
        " FROM generate_series(1, $3::integer) AS n"
        " CROSS JOIN generate_series(1, CASE WHEN n = 1 THEN $4::integer ELSE $5::integer END) AS seat",
        deal_id,
        SMALL_MEMBERS + LARGE_MEMBERS,
        GROUPS,
        LARGE_MEMBERS,
        SMALL_MEMBERS,
    )
    await connection.execute(
        "INSERT INTO payment_operations"
        " (order_id, kind, state, amount_minor, currency, due_at, created_at, ended_at)"
        " SELECT id, 'authorise', 'succeeded', 900, 'USD', created_at, created_at, created_at FROM orders"
    )
    await connection.execute("ANALYZE")
    # Without a choice, a whole table is read only when there is no index to find the rows by.
    for choice in ("seqscan", "hashjoin", "mergejoin"):
        await connection.execute(f"SET enable_{choice} = off")
    await connection.execute("SET plan_cache_mode = force_generic_plan")


async def _plan(connection: Any, statement: str) -> dict[str, Any]:
    types = [parameter.name for parameter in (await connection.prepare(statement)).get_parameters()]
    declared = f"({', '.join(types)})" if types else ""
    given = f"({', '.join(['NULL'] * len(types))})" if types else ""
    await connection.execute(f"PREPARE explained{declared} AS {statement}")
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE explained{given}")
    await connection.execute("DEALLOCATE explained")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


def _reads_everything(node: dict[str, Any]) -> bool:
    match node["Node Type"]:
        case "Seq Scan":
            return node["Relation Name"] in GROWING
        case "Index Scan" | "Index Only Scan":
            by_condition = "Index Cond" in node or node["Index Name"] in PASSING
            return node["Relation Name"] in GROWING and not by_condition
        case "Bitmap Index Scan":
            return "Index Cond" not in node and node["Index Name"] not in PASSING
    return False
