"""Cards that are new to a merchant are admitted one by one, up to what the deal allows."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pintuan.buying.groups.schemas import DeclineReason
from pintuan.money.payments.decision import CardRefusal, JudgedCard, limit_new_cards

GROUPS = ("grp_1", "grp_2")
REFUSALS: tuple[CardRefusal | None, ...] = (None, None, "card_in_group", "card_limit")


def test_whatever_a_card_is_refused_for_is_in_the_contract() -> None:
    assert get_args(DeclineReason) == get_args(CardRefusal)


@st.composite
def judged_cards(draw: st.DrawFn) -> tuple[dict[str, int | None], dict[str, JudgedCard]]:
    """What each group's deal allows, and cards of both groups and of purchases alone."""
    allowed = {group: draw(st.none() | st.integers(0, 4)) for group in GROUPS}
    cards = {}
    for number in range(draw(st.integers(0, 12))):
        group = draw(st.sampled_from((*GROUPS, None)))
        is_new = group is not None and draw(st.booleans())
        cards[f"ord_{number}"] = JudgedCard(
            group_id=group,
            digest=bytes([number]),
            refusal=draw(st.sampled_from(REFUSALS)),
            new_cards_max=allowed[group] if is_new and group is not None else None,
        )
    return allowed, cards


@given(judged_cards(), st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_a_group_gets_as_many_new_cards_as_fit_in_their_order_and_nothing_else_changes(
    drawn: tuple[dict[str, int | None], dict[str, JudgedCard]], seated: tuple[int, int]
) -> None:
    allowed, cards = drawn
    before = dict(zip(GROUPS, seated, strict=True))
    decided = limit_new_cards(cards, before)

    assert list(decided) == list(cards)
    left = {group: max(0, (allowed[group] or 0) - before[group]) for group in GROUPS}
    seen: Counter[str] = Counter()
    for order_id, card in cards.items():
        if card.group_id is None or not card.takes_new_seat:
            assert decided[order_id] == card
            continue
        fits = seen[card.group_id] < left[card.group_id]
        assert decided[order_id].refusal == (None if fits else "new_card_limit")
        seen[card.group_id] += 1
