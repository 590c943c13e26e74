"""The refusals of orders that are not the group engine's."""

from __future__ import annotations

from pintuan.base.errors import Rejected


class OfferChanged(Rejected):
    """The deal offers something else than the caller was shown; nothing was placed."""
