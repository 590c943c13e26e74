"""A card has the title where its letters can be drawn, and none where they would be boxes."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from pintuan.reach.previews.drawing import draw_card, is_readable
from tests.unit.reach.previews.test_cards import TITLES, picture, state

UNWRITTEN = {
    "Arabic": "\u0625\u0628\u0631\u064a\u0642 \u0634\u0627\u064a 1.2 \u0644\u062a\u0631",
    "Hebrew": "\u05e7\u05d5\u05de\u05e7\u05d5\u05dd \u05ea\u05d4 1.2",
    "Thai": "\u0e01\u0e32\u0e19\u0e49\u0e33\u0e0a\u0e32 1.2 \u0e25\u0e34\u0e15\u0e23",
    "Tamil": "\u0ba4\u0bc7\u0ba8\u0bc0\u0bb0\u0bcd",
    "Arabic, as forms": "\ufe8d\ufe91\ufeae",
    "Yi": "\ua000\ua001",
}


@pytest.mark.parametrize("title", UNWRITTEN.values(), ids=UNWRITTEN)
def test_a_title_whose_letters_no_font_has_is_left_out(title: str) -> None:
    assert not is_readable(title)
    for whole in (title, f"Tea {title}"):
        drawn, without = (picture(draw_card(state(text))) for text in (whole, ""))
        assert ImageChops.difference(drawn, without).getbbox() is None


@pytest.mark.parametrize(
    "title",
    [
        *TITLES.values(),
        "\u03a4\u03c3\u03ac\u03b9",
        "\u30c6\u30a3\u30fc\u30dd\u30c3\u30c8",
        "\uff21\u00bd \u20ac5 \u2116 7",
    ],
)
def test_a_title_that_can_be_written_is_drawn(title: str) -> None:
    assert is_readable(title)
    drawn, without = (picture(draw_card(state(text))) for text in (title, ""))
    assert ImageChops.difference(drawn, without).getbbox() is not None


def test_a_symbol_that_no_font_has_is_left_out_and_the_title_stays() -> None:
    drawn, without = (picture(draw_card(state(text))) for text in ("Tea \u26a1\u2728", "Tea"))
    assert ImageChops.difference(drawn, without).getbbox() is None
