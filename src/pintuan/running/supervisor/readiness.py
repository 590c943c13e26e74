"""How a child tells its supervisor that it serves: by a byte in a pipe it was given.

Asking over HTTP would not do: processes share their socket, so nobody could say which one answers.
"""

import asyncio
import os

READY = b"r"


class NeverReadyError(Exception):
    """A child ended, or took too long, before it served; the text says which."""


class ReadyPipe:
    """The supervisor's side; `child_end` goes to the child and is closed here once it has started."""

    def __init__(self) -> None:
        self._own_end, self.child_end = os.pipe()
        os.set_blocking(self._own_end, False)

    def started(self) -> None:
        """Closes the child's end on our side, so that the child's end is ours to notice."""
        os.close(self.child_end)

    async def wait(self, within_s: float) -> None:
        """Waits until the child serves; raises NeverReadyError."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._own_end, _tell, told)
        try:
            async with asyncio.timeout(within_s):
                await told
        except TimeoutError:
            raise NeverReadyError(f"did not serve within {within_s:.0f} s") from None
        finally:
            loop.remove_reader(self._own_end)
        if os.read(self._own_end, len(READY)) != READY:
            raise NeverReadyError("ended before it served")

    def close(self) -> None:
        """Lets go of our side; a child that tells us later is not disturbed."""
        os.close(self._own_end)


def _tell(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)


def tell_ready(child_end: int | None) -> None:
    """Called by a child once it serves; does nothing for one that nobody waits for."""
    if child_end is None:
        return
    try:
        os.write(child_end, READY)
    except BrokenPipeError:
        # The supervisor has stopped waiting, and acts on that itself.
        return
    finally:
        os.close(child_end)
