"""The signals that end a supervisor: the first one drains, the second hurries."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """What was asked for so far: `stop` after the first signal, `hurry` after the second."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handles the signals for the life of the block; needs the running loop, in the main thread."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._received)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def _received(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()
