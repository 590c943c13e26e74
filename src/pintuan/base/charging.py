"""The charges that a payment gateway can make for a deal, and for how long it holds money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRules:
    """The limits of a gateway, known without asking it.

    `refuse_method` says why a payment method is none of its own, None when it may be one. Every amount of a
    currency must be a multiple of its `price_step_minor`; None for a currency that the gateway cannot charge.
    `calls_at_once_max` is how many calls one process may have on their way.
    """

    name: str
    authorisation_lifetime_ms: int
    calls_at_once_max: int
    refuse_method: Callable[[str], str | None]
    price_step_minor: Callable[[str], int | None]
