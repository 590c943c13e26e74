"""Which payment gateway a process works with: the one place that reads PINTUAN_PAYMENT_GATEWAY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.payments.sandbox import SandboxGateway
from pintuan.payments.sandbox_methods import SANDBOX_RULES
from pintuan.payments.stripe_rules import STRIPE_RULES
from pintuan.settings import SettingsError

if TYPE_CHECKING:
    import asyncpg

    from pintuan.payments.gateway import Gateway, GatewayRules
    from pintuan.settings import Settings


def rules_of(settings: Settings) -> GatewayRules:
    """Returns what the gateway that the settings name takes, and for how long it holds money."""
    return STRIPE_RULES if settings.payment_gateway == "stripe" else SANDBOX_RULES


def gateway_of(settings: Settings, pool: asyncpg.Pool) -> Gateway:
    """Returns the gateway the settings name.

    Raises:
        SettingsError: this version has no such gateway.
    """
    match settings.payment_gateway:
        case "sandbox":
            return SandboxGateway(pool)
        case "stripe":
            raise SettingsError("PINTUAN_PAYMENT_GATEWAY", "stripe is not available in this version")
