"""The process that draws cards: `python -m pintuan.reach.previews.drawing_process`, driven by `Drawer`.

A request is the size of its body in four bytes and a `CardState` as msgpack, or a size of 0 for the plain
card; an answer is the size of a PNG in four bytes and the PNG. The process yields to every other one. It ends
when nobody holds its input any more, and by itself after a while without requests, which frees its memory.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import Final

import msgspec

from pintuan.reach.previews.card import CardState
from pintuan.reach.previews.drawing import draw_card, draw_plain_card

SIZE_BYTES: Final = 4
NICENESS: Final = 19
IDLE_S: Final = 60.0


def main() -> None:
    """Draws until its input ends."""
    # Ctrl-C ends the supervisor, which ends this process' parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    while select.select([sys.stdin], [], [], IDLE_S)[0]:
        size = _read(SIZE_BYTES)
        if not size:
            return
        body = _read(int.from_bytes(size, "big"))
        png = draw_card(msgspec.msgpack.decode(body, type=CardState)) if body else draw_plain_card()
        try:
            sys.stdout.buffer.write(len(png).to_bytes(SIZE_BYTES, "big") + png)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            return


def _read(size: int) -> bytes:
    """Returns so many bytes of the input, or none where it ends, and reads nothing ahead."""
    parts = b""
    while len(parts) < size:
        part = os.read(sys.stdin.fileno(), size - len(parts))
        if not part:
            return b""
        parts += part
    return parts


if __name__ == "__main__":
    main()
