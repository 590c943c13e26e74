"""The metrics of signing in."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from pintuan.base.telemetry.metrics import show_from_start

SIGN_IN_CODES: Final = Counter(
    "pintuan_sign_in_codes",
    "Sign-in codes by what happened: asked for, answered right or wrong, or refused because of a limit.",
    labelnames=("outcome",),
)
METRICS: Final = (SIGN_IN_CODES,)

show_from_start(SIGN_IN_CODES, ("asked", "right", "wrong", "refused"))
