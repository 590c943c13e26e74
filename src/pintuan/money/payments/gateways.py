"""Which payment gateway a process works with: the one place that reads PINTUAN_PAYMENT_GATEWAY."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pintuan.base.settings.settings import SettingsError
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.sandbox.methods import SANDBOX_RULES
from pintuan.money.payments.stripe.rules import STRIPE_RULES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from pintuan.base.charging import GatewayRules
    from pintuan.base.settings.settings import Settings
    from pintuan.money.payments.gateway import Gateway


def rules_of(settings: Settings) -> GatewayRules:
    """Returns what the gateway that the settings name takes, and for how long it holds money."""
    return STRIPE_RULES if settings.payment_gateway == "stripe" else SANDBOX_RULES


@asynccontextmanager
async def open_gateway(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Gateway]:
    """Opens the gateway the settings name for the life of the block.

    Raises:
        SettingsError: Stripe's secret key is missing.
    """
    if settings.payment_gateway == "sandbox":
        yield SandboxGateway(pool)
        return
    if settings.stripe_secret_key is None:
        raise SettingsError("PINTUAN_STRIPE_SECRET_KEY", "needed when PINTUAN_PAYMENT_GATEWAY is stripe")
    # Its library is large, and a process that plays with the sandbox needs nothing of it.
    from pintuan.money.payments.stripe.gateway import open_stripe

    async with open_stripe(
        pool, secret_key=settings.stripe_secret_key, api_base=settings.stripe_api_base
    ) as gateway:
        yield gateway
