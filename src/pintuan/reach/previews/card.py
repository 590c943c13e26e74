"""The content of a card, and its size."""

from __future__ import annotations

from typing import Final

import msgspec

CARD_WIDTH: Final = 1200
CARD_HEIGHT: Final = 630
"""Pixels."""


class CardState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a card shows, in words; two equal states are one picture."""

    language: str
    title: str
    now: str
    price: str
    list_price: str
    joined: str
    headcount: int
    max_headcount: int
    left: str
