"""A small disk of memory for a store, which can be made full and roomy again; only root may mount one."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOUNT_TIMEOUT_S: Final = 10.0
# Whatever is written between the look and the mount; a disk cannot shrink below what it holds.
SPARE_BYTES: Final = 64 * 1024
ATTEMPTS_MAX: Final = 5


class Disk:
    """A tmpfs at `path`, or a plain directory where none can be mounted."""

    def __init__(self, path: Path, size_mib: int) -> None:
        self.path = path
        self._size_mib = size_mib
        self.mounted = False
        self.full = False

    def mount(self) -> None:
        """Makes the directory and mounts the disk there, if this process may."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.mounted = os.geteuid() == 0 and _run(
            "mount", "-t", "tmpfs", "-o", self._size(), "chaos", str(self.path)
        )

    def fill(self) -> bool:
        """Leaves no room on the disk; answers False where that cannot be done."""
        for _ in range(ATTEMPTS_MAX if self.mounted else 0):
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if _run("mount", "-o", f"remount,size={used + SPARE_BYTES}", str(self.path)):
                self.full = True
                return True
        return False

    def heal(self) -> None:
        """Gives the disk its size again."""
        if self.full:
            self.full = not _run("mount", "-o", f"remount,{self._size()}", str(self.path))

    def unmount(self) -> None:
        """Removes the disk with all that is on it."""
        if self.mounted:
            self.mounted = not _run("umount", "--lazy", str(self.path))

    def _size(self) -> str:
        return f"size={self._size_mib}m,mode=755"


def _run(*command: str) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=MOUNT_TIMEOUT_S)  # noqa: S603 - no input of others.
    except OSError:
        return False
    return done.returncode == 0
