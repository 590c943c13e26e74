"""The audit of groups, their seats and the stock of lanes."""

from __future__ import annotations

from typing import Final

from pintuan.base.audit import Audit, AuditCheck
from sql import load_queries

_STATEMENTS: Final = load_queries(__package__, "audit")

AUDIT: Final = Audit(
    checks=(
        AuditCheck(
            name="seats_within_capacity",
            about="1, 3: live seats are distinct and within capacity",
            statement=_STATEMENTS["seats_within_capacity"],
            place=10,
        ),
        AuditCheck(
            name="orders_belong_to_their_group",
            about="1: every seat is in a group of its deal and lane",
            statement=_STATEMENTS["orders_belong_to_their_group"],
            place=20,
        ),
        AuditCheck(
            name="lanes_count_what_is_sold",
            about="1: a lane's sold units are those of its live orders",
            statement=_STATEMENTS["lanes_count_what_is_sold"],
            place=30,
        ),
        AuditCheck(
            name="lanes_add_up_to_the_stock",
            about="1: the lanes' stock adds up to the deal's",
            statement=_STATEMENTS["lanes_add_up_to_the_stock"],
            place=40,
        ),
        AuditCheck(
            name="headcounts_are_authorised_members",
            about="5: headcounts are the authorised members",
            statement=_STATEMENTS["headcounts_are_authorised_members"],
            place=90,
        ),
        AuditCheck(
            name="groups_close_in_time",
            about="5: no group closed early, and only ended groups are unwatched",
            statement=_STATEMENTS["groups_close_in_time"],
            place=100,
        ),
    ),
    notices=(
        AuditCheck(
            name="overdue_groups",
            about="groups that wait for a worker",
            statement=_STATEMENTS["overdue_groups"],
            place=30,
        ),
    ),
)
