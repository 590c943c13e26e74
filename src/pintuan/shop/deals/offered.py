"""A deal as it was on show when somebody ordered."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from pintuan.shop.deals.schemas import DealProduct, DealVariant

if TYPE_CHECKING:
    from pintuan.shop.deals.schemas import Deal
    from pintuan.shop.offers.schemas import Offer


def as_offered(deal: Deal, offer: Offer) -> Deal:
    """Returns the deal with the words of an offer of it; pictures that were changed since are left out.

    The deal must have all its pictures, not just the first ones that lists have.
    """
    addresses = "\n".join([*deal.variant.images, *deal.product.images])
    are_the_same = sha256(addresses.encode()).hexdigest() == offer.images_sha256
    return msgspec.structs.replace(
        deal,
        title=offer.title,
        product=DealProduct(title=offer.product_title, images=deal.product.images if are_the_same else []),
        variant=DealVariant(
            sku=offer.sku,
            title=offer.variant_title,
            options=offer.options,
            images=deal.variant.images if are_the_same else [],
        ),
    )
