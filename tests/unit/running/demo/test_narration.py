"""The ticker says what happened in words a shopper would use."""

import pytest

from pintuan.buying.groups.schemas import Group, GroupTier
from pintuan.running.demo import narration
from pintuan.running.demo.plan import Step
from tests.unit.running.demo.samples import group, order, refund, usd

LINK = Step("link", "Mei", "Ana")


def test_a_friend_whose_seat_lowers_the_price_makes_good_news() -> None:
    after = group(headcount=3, unit_price=800)
    told = narration.joined(LINK, order("authorised", of=after), group(headcount=2), "Kettle")
    assert told == ("Mei joined through Ana's link: price falls to 8.00 USD", "good")


@pytest.mark.parametrize(
    ("after", "outlook"),
    [
        (group(headcount=1), "1 more needed for 9.00 USD"),
        (group(headcount=2, next_tier=GroupTier(3, usd(800), 1)), "1 more for 8.00 USD"),
        (group(headcount=3, unit_price=800), "now 8.00 USD"),
        (group(headcount=4, unit_price=800), "full at 8.00 USD"),
    ],
    ids=["below the minimum", "before a tier", "on the last tier", "full"],
)
def test_a_join_tells_what_is_missing_now(after: Group, outlook: str) -> None:
    text, tone = narration.joined(Step("open", "Ana"), order("authorised", of=after), None, "Kettle")
    assert (text, tone) == (f"Ana opened a group for Kettle: {outlook}", "plain")


def test_a_stranger_is_placed_and_a_lost_answer_is_mentioned() -> None:
    step = Step("auto", "Vik", method="pm_timeout")
    text, _ = narration.joined(step, order("authorised", of=group()), None, "Kettle")
    assert text.startswith(
        "Vik was placed into the group for Kettle, although the bank's first answer got lost:"
    )


def test_a_declined_card_is_bad_news() -> None:
    text, tone = narration.joined(LINK, order("declined", of=group()), group(), "Kettle")
    assert (text, tone) == ("Mei's card was declined: nothing is charged, the seat is free again", "bad")


def test_buying_alone_tells_the_whole_sum() -> None:
    bought = order(charged=1000, quantity=2)
    text, _ = narration.joined(Step("buy", "Sam", quantity=2), bought, None, "Kettle")
    assert text == "Sam bought Kettle × 2 at list price, 20.00 USD"


def test_refusals_are_put_into_words() -> None:
    asked = Step("open", "Ida", quantity=3, refused="limit_reached")
    assert narration.refused(asked, "limit_reached", "Kettle")[0] == (
        "Ida asked for 3 of Kettle and was refused: that is more than one buyer may have"
    )
    stays = Step("cancel", "Ben", refused="cancel_locked")
    assert narration.refused(stays, "cancel_locked", "Kettle")[0] == (
        "Ben may not leave Kettle: leaving now would break the price promised to others"
    )


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        (group("succeeded", 4, final=800), ("Kettle fills up with 4: settled at 8.00 USD", "good")),
        (group("succeeded", 2, final=900), ("Kettle runs out with 2: settled at 9.00 USD", "good")),
        (group("failed", 1), ("Kettle runs out with 1 of 2: nobody pays", "bad")),
    ],
    ids=["full", "at the deadline", "failed"],
)
def test_a_groups_end_tells_its_price(ended: Group, line: tuple[str, str]) -> None:
    assert narration.ended(ended, "Kettle") == line


def test_money_given_back_is_told_with_the_merchants_reason() -> None:
    told = narration.given_back(Step("link", "Raj", "Olga", method="pm_refund_timeout"), refund(500))
    assert told == (
        "Raj gets 5.00 USD back, arrived damaged, although the bank's first answer got lost",
        "good",
    )
    told = narration.given_back(Step("auto", "Suki", method="pm_refund_fails"), refund(500, "failed"))
    assert told == ("Suki's card takes no refunds: 5.00 USD stay with the merchant", "bad")
