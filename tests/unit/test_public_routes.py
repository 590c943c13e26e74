"""What the API's port answers, and what only an operator's does."""

from __future__ import annotations

import pytest

from pintuan.app import OPERATOR_ROUTES, create_app
from pintuan.base.settings.settings import Settings

SECRET_KEY = "a key that signs nothing but these tests"


def paths(settings: Settings, **routes: object) -> set[str]:
    return {route.path for route in create_app(settings, **routes).routes}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(secret_key=SECRET_KEY), True),
        (Settings(secret_key=SECRET_KEY, metrics_port=9100), False),
        (Settings(secret_key=SECRET_KEY, env="production"), False),
        (Settings(secret_key=SECRET_KEY, env="production", metrics_port=9100), False),
    ],
)
def test_metrics_are_on_the_public_port_in_development_alone(settings: Settings, shown: bool) -> None:
    assert ("/metrics" in paths(settings)) is shown
    assert "/health/ready" in paths(settings)


def test_an_operators_port_has_them_always_and_nothing_that_sells() -> None:
    shown = paths(Settings(secret_key=SECRET_KEY, env="production"), routes=OPERATOR_ROUTES)
    assert shown == {"/health/live", "/health/ready", "/metrics"}
