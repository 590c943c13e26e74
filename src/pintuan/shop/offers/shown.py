"""Offers of rows as they are shown."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pintuan.shop.offers.schemas import Offer

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFER_ID_CHARS: Final = 32


def offer_of(kept: Mapping[str, Any]) -> Offer:
    """Returns the offer of what the function `offer_at` answers; `options` are pairs there."""
    return msgspec.convert({**kept, "options": dict(kept["options"])}, Offer)


def offer_id_of(offer: Offer) -> str:
    """Returns hexadecimal digits that name an offer; the same words and pictures have the same name."""
    words = msgspec.json.encode(msgspec.structs.replace(offer, since=None), order="sorted")
    return sha256(words).hexdigest()[:OFFER_ID_CHARS]
