"""Offers of rows as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pintuan.shop.offers.schemas import Offer

if TYPE_CHECKING:
    from collections.abc import Mapping


def offer_of(kept: Mapping[str, Any]) -> Offer:
    """Returns the offer of what the function `offer_at` answers; `options` are pairs there."""
    return msgspec.convert({**kept, "options": dict(kept["options"])}, Offer)
