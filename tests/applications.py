"""Applications that tests borrow, because making one takes longer than many a test.

An application opens its stores when it is started and closes them at its end, so that one serves a test after
another. It is made for settings that differ in nothing but the stores and the data directory of a test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from litestar import Litestar

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.base.telemetry import logs

_NOWHERE = Path()


class Applications:
    """Those that nobody has at the moment, by what they were made for."""

    def __init__(self) -> None:
        self._idle: defaultdict[Settings, list[Litestar]] = defaultdict(list)

    @contextmanager
    def lent(self, settings: Settings) -> Iterator[Litestar]:
        """An application that nobody else has; one in which a test failed is not used again."""
        kind = msgspec.structs.replace(settings, database_url=None, redis_url=None, data_dir=_NOWHERE)
        if self._idle[kind]:
            app = self._idle[kind].pop()
            # Another one may have set logging up since.
            logs.configure(settings)
        else:
            app = create_app(settings)
        app.state.settings = settings
        yield app
        self._idle[kind].append(app)


APPLICATIONS = Applications()
