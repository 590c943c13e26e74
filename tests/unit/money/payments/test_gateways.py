"""The setting decides whom payments go to."""

from typing import cast

import asyncpg
import pytest

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.money.payments.gateways import open_gateway, rules_of
from pintuan.money.payments.sandbox.gateway import SandboxGateway
from pintuan.money.payments.stripe.gateway import StripeGateway

pytestmark = pytest.mark.anyio

# Nothing here asks it anything.
NO_POOL = cast("asyncpg.Pool", None)
STRIPE = Settings(payment_gateway="stripe", stripe_secret_key="sk_test_1", stripe_webhook_secret="whsec_1")


@pytest.mark.parametrize(("settings", "kind"), [(Settings(), SandboxGateway), (STRIPE, StripeGateway)])
async def test_the_gateway_is_the_one_that_is_set(settings: Settings, kind: type) -> None:
    async with open_gateway(settings, NO_POOL) as gateway:
        assert isinstance(gateway, kind)
        assert rules_of(settings).authorisation_lifetime_ms == gateway.authorisation_lifetime_ms


async def test_stripe_without_its_key_is_refused_by_the_variable() -> None:
    with pytest.raises(SettingsError, match="PINTUAN_STRIPE_SECRET_KEY: needed"):
        async with open_gateway(Settings(payment_gateway="stripe"), NO_POOL):
            pass
