"""The report of an audit: the checks of all nouns, in one order."""

from __future__ import annotations

import re

import pytest

from pintuan.base.audit import AuditCheck
from pintuan.running.audit.store import checks, notices

CHECKS = [
    "seats_within_capacity",
    "orders_belong_to_their_group",
    "lanes_count_what_is_sold",
    "lanes_add_up_to_the_stock",
    "buyers_within_their_limit",
    "new_cards_within_their_limit",
    "archive_is_whole",
    "requests_lead_to_their_orders",
    "headcounts_are_authorised_members",
    "groups_close_in_time",
    "charges_keep_promises",
    "captures_take_the_charge",
    "authorisations_end",
    "orders_are_paid_for_once",
    "ledger_adds_up",
    "charges_are_in_the_ledger",
    "refunds_are_what_was_asked",
    "sandbox_books_agree",
    "offers_are_kept",
]
NOTICES = [
    "escalated_operations",
    "gateway_surprises",
    "overdue_groups",
    "rows_set_aside",
    "unheard_events",
    "cards_shared_by_accounts",
    "addresses_shared_by_accounts",
]
BOTH = pytest.mark.parametrize("found", [checks(), notices()], ids=["checks", "notices"])


def test_the_report_has_what_nouns_check_in_its_order() -> None:
    assert [check.name for check in checks()] == CHECKS
    assert [notice.name for notice in notices()] == NOTICES


@BOTH
def test_every_check_has_a_place_of_its_own(found: list[AuditCheck]) -> None:
    assert len({check.place for check in found}) == len(found)


@BOTH
def test_every_check_runs_the_statement_of_its_name(found: list[AuditCheck]) -> None:
    for check in found:
        assert re.match(rf"/\* \w*audit\.{check.name} \*/", check.statement), check.name


def test_a_check_says_which_invariants_it_is_about() -> None:
    assert [check.about for check in checks() if not re.match(r"\d+(, \d+)*: ", check.about)] == []
