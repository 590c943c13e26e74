"""What a page says follows from the group and its deal alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from pintuan.base.wire.money import Money
from pintuan.buying.groups.schemas import Group, Order, Payment
from pintuan.reach.pages.rendering import picture_origin
from pintuan.reach.pages.view import Phase, view_of
from pintuan.shop.deals.schemas import Deal, DealProduct, DealVariant, Tier
from pintuan.shop.offers.schemas import Offer

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def usd(amount: int) -> Money:
    return Money(amount, "USD")


GROUP = Group(
    id="grp_1",
    deal_id="deal_1",
    share_code="code",
    share_url="https://shop.example/g/code",
    status="open",
    headcount=1,
    held=0,
    max_headcount=10,
    min_headcount=3,
    unit_price=usd(900),
    next_tier=None,
    deadline=NOW + timedelta(seconds=90),
    opened_at=NOW,
    settled_at=None,
    final_unit_price=None,
    server_time=NOW,
    my_order=None,
)
DEAL = Deal(
    id="deal_1",
    merchant_id="acme",
    product_id="prd_1",
    variant_id="var_1",
    title="Tea",
    status="active",
    currency="USD",
    product=DealProduct(title="Tea", images=["https://img.example/tea.jpg"]),
    variant=DealVariant(sku="TEA", title="Green", options={}, images=[]),
    list_price=usd(1000),
    starting_price=usd(900),
    lowest_price=usd(700),
    ladder=[Tier(2, usd(950)), Tier(3, usd(900)), Tier(5, usd(800)), Tier(10, usd(700))],
    min_headcount=3,
    max_headcount=10,
    group_ttl_seconds=3600,
    starts_at=NOW,
    ends_at=None,
    stock=100,
    sold=1,
    per_buyer_units=1,
    new_cards_per_group=None,
    lanes=1,
    nudges=True,
    created_at=NOW,
    offer_id="9f86d081884c7d659a2feaa0c55ad015",
)


OFFER = Offer(
    title="Tea",
    product_title="Tea",
    variant_title="Green",
    sku="TEA",
    options={},
    brand=None,
    gtin=None,
    description_sha256=sha256(b"").hexdigest(),
    images_sha256=sha256(b"https://img.example/tea.jpg").hexdigest(),
    since=None,
)


def group(**changes: Any) -> Group:
    return msgspec.structs.replace(GROUP, **changes)


def deal(**changes: Any) -> Deal:
    return msgspec.structs.replace(DEAL, **changes)


@pytest.mark.parametrize(
    ("changes", "of_deal", "phase"),
    [
        ({}, {}, "open"),
        ({"headcount": 7, "held": 1}, {}, "filling"),
        ({"headcount": 9}, {}, "filling"),
        ({"headcount": 8, "held": 2}, {}, "full"),
        ({"headcount": 10}, {"status": "paused"}, "full"),
        ({}, {"status": "paused"}, "paused"),
        ({}, {"sold": 100}, "sold_out"),
        ({}, {"status": "ended"}, "open"),
        ({"deadline": NOW}, {"status": "paused"}, "closing"),
        ({"status": "closing"}, {}, "closing"),
        ({"status": "settling"}, {"status": "paused"}, "settling"),
        ({"status": "succeeded"}, {"sold": 100}, "succeeded"),
        ({"status": "failed"}, {}, "failed"),
    ],
)
def test_every_state_has_its_phase(changes: dict[str, Any], of_deal: dict[str, Any], phase: Phase) -> None:
    view = view_of(group(**changes), deal(**of_deal), OFFER)
    assert view.phase == phase
    assert view.is_joinable == (phase in {"open", "filling"})


def test_the_steps_are_those_a_group_can_reach() -> None:
    steps = view_of(group(headcount=4), DEAL, OFFER).steps
    assert [(step.headcount, step.unit_price.amount, step.missing) for step in steps] == [
        (3, 900, 0),
        (5, 800, 1),
        (10, 700, 6),
    ]
    assert [step.is_current for step in steps] == [True, False, False]


@pytest.mark.parametrize(("headcount", "promise"), [(0, 900), (1, 900), (3, 900), (4, 800), (9, 700)])
def test_the_promise_counts_the_one_who_joins(headcount: int, promise: int) -> None:
    assert view_of(group(headcount=headcount), DEAL, OFFER).promise == usd(promise)


@pytest.mark.parametrize(
    ("status", "sold", "can"),
    [("active", 1, True), ("active", 100, False), ("ended", 1, False), ("paused", 1, False)],
)
def test_another_group_is_offered_while_the_deal_sells(status: str, sold: int, can: bool) -> None:
    full = group(headcount=10)
    assert view_of(full, deal(status=status, sold=sold), OFFER).can_open_another is can
    assert not view_of(GROUP, deal(status=status, sold=sold), OFFER).can_open_another


def ordered(offer: Offer) -> Order:
    """The viewer's order of an offer."""
    return Order(
        id="ord_1",
        deal_id="deal_1",
        offer=offer,
        group_id="grp_1",
        seat=1,
        status="authorised",
        quantity=1,
        promised_price=usd(900),
        charged_unit_price=None,
        charged_total=None,
        refunded_total=None,
        refunds=[],
        payment=Payment("authorised"),
        group=None,
        created_at=NOW,
    )


def test_whoever_waits_for_the_end_of_a_group_is_offered_no_other() -> None:
    mine = ordered(OFFER)
    declined = msgspec.structs.replace(mine, status="declined")
    assert not view_of(group(headcount=10, my_order=mine), DEAL, OFFER).can_open_another
    assert view_of(group(headcount=10, my_order=declined), DEAL, OFFER).can_open_another
    assert view_of(group(status="succeeded", headcount=10, my_order=mine), DEAL, OFFER).can_open_another


def test_the_variants_own_picture_comes_first() -> None:
    assert view_of(GROUP, DEAL, OFFER).picture == "https://img.example/tea.jpg"
    variant = msgspec.structs.replace(DEAL.variant, images=["https://img.example/green.jpg"])
    assert view_of(GROUP, deal(variant=variant), OFFER).picture == "https://img.example/green.jpg"
    assert view_of(GROUP, deal(product=DealProduct(title="Tea", images=[])), OFFER).picture is None


def test_no_time_is_left_after_the_deadline() -> None:
    assert view_of(GROUP, DEAL, OFFER).left_s == 90
    assert view_of(group(deadline=NOW - timedelta(days=1)), DEAL, OFFER).left_s == 0


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://img.example/a.jpg", "https://img.example"),
        ("https://img.example:8443/a b".replace(" ", "%20"), "https://img.example:8443"),
        ("https://img.example/a b", None),
        ("http://img.example/a.jpg", None),
        ("https://img.example", None),
        ("https://user@img.example/a", None),
        ("https://img.example; script-src */a", None),
        ("https://*.example/a", None),
        ("https://'self'/a", None),
        ("https://img.example\n/a", None),
        ("//img.example/a", None),
        ("data:image/png;base64,AA", None),
        (None, None),
    ],
)
def test_a_picture_has_an_origin_that_can_stand_in_a_policy_or_is_left_out(
    url: str | None, origin: str | None
) -> None:
    assert picture_origin(url) == origin


def test_pictures_of_another_offer_are_not_shown_to_those_who_ordered_before() -> None:
    other = msgspec.structs.replace(OFFER, images_sha256=sha256(b"https://img.example/cup.jpg").hexdigest())
    now = msgspec.structs.replace(OFFER, since=NOW)
    assert view_of(group(my_order=ordered(OFFER)), DEAL, now).picture == "https://img.example/tea.jpg"
    assert view_of(group(my_order=ordered(other)), DEAL, now).picture is None


def test_whoever_ordered_what_is_offered_now_is_told_of_no_change() -> None:
    now = msgspec.structs.replace(OFFER, since=NOW + timedelta(seconds=1))
    assert view_of(group(my_order=ordered(OFFER)), DEAL, now).is_not_what_i_ordered
    assert not view_of(group(my_order=ordered(now)), DEAL, now).is_not_what_i_ordered
    assert not view_of(group(my_order=ordered(OFFER)), DEAL, now).is_not_what_others_ordered
    assert view_of(GROUP, DEAL, now).is_not_what_others_ordered
    assert not view_of(group(status="failed"), DEAL, now).is_not_what_others_ordered
    assert not view_of(GROUP, DEAL, OFFER).is_not_what_others_ordered
