"""Which payment gateway a process works with: the one place that reads PINTUAN_PAYMENT_GATEWAY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pintuan.payments.sandbox import SandboxGateway
from pintuan.settings import SettingsError

if TYPE_CHECKING:
    import asyncpg

    from pintuan.payments.gateway import Gateway
    from pintuan.settings import Settings


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
