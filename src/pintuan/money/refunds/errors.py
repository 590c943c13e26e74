"""Refusals of refunds."""

from __future__ import annotations

from pintuan.base.errors import Rejected


class NotRefundable(Rejected):
    """The order has nothing to give back: not captured, or given back already."""
