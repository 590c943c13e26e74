"""The answers to refusals of refunds."""

from __future__ import annotations

from typing import Final

from pintuan.http.problems import Kind
from pintuan.money.refunds.errors import NotRefundable

PROBLEMS: Final = {
    NotRefundable: Kind(
        409, "not_refundable", "Nothing to refund", "The order has nothing that could be given back."
    ),
}
