"""How settings reach the children: as the same environment variables an operator would set."""

import os
from pathlib import Path

from pintuan.base.settings.settings import SETTINGS, Settings, text_of

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def child_environment(settings: Settings, metrics: Path) -> dict[str, str]:
    """Our own environment with every setting as it is now; one that is not set becomes empty.

    Empty rather than absent, because a child reads `.env` too and would find there what we override.
    """
    environ = dict(os.environ)
    for setting in SETTINGS:
        environ[setting.variable] = text_of(getattr(settings, setting.field))
    environ[METRICS_VARIABLE] = str(metrics)
    return environ
