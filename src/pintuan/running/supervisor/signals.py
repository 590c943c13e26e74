"""The requests of signals to a supervisor: to stop, to hurry, or to put new children in the old
ones' place.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
TERMINAL = "/dev/tty"


class Signals:
    """The requests so far: `stop` after the first stop signal, `hurry` after the second.

    `roll` is set by SIGHUP and cleared by its reader. A SIGHUP that tells of a closed terminal stops.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.roll = asyncio.Event()
        self._had_terminal = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handles the signals for the life of the block; needs the running loop, in the main thread."""
        loop = asyncio.get_running_loop()
        # Under nohup a closed terminal is no reason to stop.
        self._had_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        try:
            yield
        finally:
            for number in (*STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _asked_to_stop(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()

    def _hung_up(self) -> None:
        if self._had_terminal and not _has_terminal():
            self._asked_to_stop()
        else:
            self.roll.set()


def _has_terminal() -> bool:
    """Says whether this process has a controlling terminal (tty(4): opening it fails where there is none)."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
