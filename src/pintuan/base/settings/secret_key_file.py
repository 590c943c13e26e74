"""The file in which a development machine keeps the key that signs its tokens."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

KEY_BYTES = 32


def create_secret_key(path: Path) -> None:
    """Makes the file in one step, so that nobody reads half a key; the first of several processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file readable by its owner alone.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        # Another process was first, and its key is everybody's.
        return
    finally:
        Path(temporary).unlink()
