"""The script of the show holds together before anybody plays it."""

from collections import Counter

import pytest

from pintuan.money.payments.sandbox.methods import PAYMENT_METHODS, is_known_method
from pintuan.running.demo.plan import FILLS_S, RUNS_OUT_S, STAYS_OPEN_S, Scene, Step
from pintuan.running.demo.scenes import SCENES, plan_of
from pintuan.running.demo.venue import Cast, brands_of, feed_items
from pricing.currency import exponent
from pricing.ladder import Ladder

ITEMS = {item.item_ref: item for item in feed_items()}
by_key = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)


def test_the_feed_has_variants_and_every_kind_of_currency() -> None:
    assert 8 <= len(ITEMS) <= 12
    assert {item.currency for item in ITEMS.values()} == {"USD", "EUR", "JPY", "KWD"}
    assert {exponent(item.currency) for item in ITEMS.values()} == {0, 2, 3}
    assert max(Counter(item.group_ref for item in ITEMS.values()).values()) > 1


@by_key
def test_every_offer_is_one_that_a_merchant_may_make(scene: Scene) -> None:
    offer = scene.offer
    Ladder.parse(
        offer.ladder,
        min_headcount=offer.min_headcount,
        max_headcount=offer.max_headcount,
        list_price_minor=ITEMS[offer.sku].list_price_minor,
    )


@by_key
def test_a_group_ends_as_its_headcount_and_its_lifetime_say(scene: Scene) -> None:
    offer = scene.offer
    assert scene.headcount <= offer.max_headcount
    if scene.ends_as == "succeeded":
        assert scene.headcount >= offer.min_headcount
        full = scene.headcount == offer.max_headcount
        assert offer.group_ttl_s == (FILLS_S if full else RUNS_OUT_S)
        assert scene.settled_unit_minor is not None
    elif scene.ends_as == "failed":
        assert scene.headcount < offer.min_headcount
        assert offer.group_ttl_s == RUNS_OUT_S
    elif scene.ends_as == "open":
        assert scene.headcount < offer.max_headcount
        assert offer.group_ttl_s == STAYS_OPEN_S


def ending_after_refunds(scene: Scene, step: Step, before: str) -> str:
    """What becomes of an order when the merchant has given back what the scene says."""
    back = [one for one in scene.given_back if one.actor == step.actor and one.ends_as == "refunded"]
    if not back:
        return before
    assert before == "captured"
    assert scene.settled_unit_minor is not None
    paid_minor = scene.settled_unit_minor * step.quantity
    left_minor = paid_minor - sum(one.amount_minor or 0 for one in back)
    assert left_minor >= 0
    return "refunded" if left_minor == 0 or back[-1].amount_minor is None else "partially_refunded"


@by_key
def test_orders_end_as_their_group_does(scene: Scene) -> None:
    kept = {"succeeded": "captured", "failed": "released", "open": "authorised", "solo": "captured"}
    exceptions = {"pm_declined": "declined", "pm_capture_fails": "payment_failed"}
    left = {step.actor for step in scene.steps if step.verb == "cancel" and step.refused is None}
    for step in scene.steps:
        if step.places:
            expected = "cancelled" if step.actor in left else kept[scene.ends_as]
            expected = exceptions.get(step.method, expected)
            assert step.ends_as == ending_after_refunds(scene, step, expected)


@by_key
def test_links_and_cancellations_refer_to_somebody_who_is_in(scene: Scene) -> None:
    inside: set[str] = set()
    for step in scene.steps:
        if step.verb == "link":
            assert step.through in inside
        if step.verb == "cancel":
            assert step.actor in inside
        if step.places:
            inside.add(step.actor)


@by_key
def test_payment_methods_are_ones_the_sandbox_knows(scene: Scene) -> None:
    assert all(is_known_method(step.method) for step in scene.steps)


def test_the_show_has_every_kind_of_ending_refusal_and_bank() -> None:
    steps = [step for scene in SCENES for step in scene.steps]
    assert {scene.ends_as for scene in SCENES} == {"succeeded", "failed", "open", "solo"}
    refusals = {step.refused for step in steps} - {None}
    assert refusals == {"group_full", "sold_out", "already_joined", "limit_reached", "cancel_locked"}
    assert {step.method for step in steps} == set(PAYMENT_METHODS)
    given_back = [given_back for scene in SCENES for given_back in scene.given_back]
    assert {one.ends_as for one in given_back} == {"refunded", "failed"}
    assert {one.amount_minor is None for one in given_back} == {True, False}
    assert {step.verb for step in steps} == {"open", "link", "auto", "buy", "cancel"}
    assert {ITEMS[scene.offer.sku].currency for scene in SCENES} == {"USD", "EUR", "JPY", "KWD"}


def test_nobody_plays_in_two_scenes() -> None:
    casts = [{step.actor for step in scene.steps} for scene in SCENES]
    assert len(set().union(*casts)) == sum(len(cast) for cast in casts)


def test_a_seed_gives_the_same_show_again_and_another_seed_another_one() -> None:
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)


def test_the_seed_leaves_what_happens_as_it_is() -> None:
    outcomes = {(scene.key, scene.headcount, scene.settled_unit_minor) for scene in SCENES}
    assert {(scene.key, scene.headcount, scene.settled_unit_minor) for scene in plan_of(3)} == outcomes


def test_steps_leave_room_before_a_group_runs_out() -> None:
    for scene in plan_of(1):
        if scene.offer.group_ttl_s == RUNS_OUT_S:
            assert sum(step.pause_s for step in scene.steps) < RUNS_OUT_S / 2


def test_runs_have_merchants_and_buyers_of_their_own() -> None:
    (brand, *_) = brands_of(ITEMS.values())
    one, other = Cast("aa11"), Cast("bb22")
    assert one.merchant(brand) == "harbour-rye-aa11"
    assert one.buyer("Mei") == "mei-aa11"
    assert one.merchant(brand) != other.merchant(brand)
    assert one.buyer("Mei") != other.buyer("Mei")
