"""The setting decides whom payments go to."""

from typing import cast

import asyncpg
import pytest

from pintuan.payments.gateways import gateway_of
from pintuan.payments.sandbox import SandboxGateway
from pintuan.settings import Settings, SettingsError

# Nothing here asks it anything.
NO_POOL = cast("asyncpg.Pool", None)


def test_the_gateway_is_the_one_that_is_set() -> None:
    assert isinstance(gateway_of(Settings(payment_gateway="sandbox"), NO_POOL), SandboxGateway)


def test_a_gateway_this_version_lacks_is_refused_by_its_variable() -> None:
    with pytest.raises(SettingsError, match="PINTUAN_PAYMENT_GATEWAY: stripe"):
        gateway_of(Settings(payment_gateway="stripe"), NO_POOL)
