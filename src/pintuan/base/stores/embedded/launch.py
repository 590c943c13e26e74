"""Becomes another program that dies with its parent: `launch.py PARENT_PID SIGNAL UID GID -- COMMAND...`.

Run as a script by the interpreter without site packages, which takes about 10 ms. A program of its own
instead of a `preexec_fn`: code run between fork and exec can deadlock in a process that has threads. UID and
GID may be `-`: stay who we are. The order matters: Linux forgets the death signal when the user changes
(PR_SET_PDEATHSIG(2const)).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_PARENT_GONE = 70


def main(arguments: list[str]) -> None:
    """Changes user, arms the death signal, and replaces this process; exits 70 when the parent is gone."""
    parent_pid, death_signal, uid, gid, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit(__doc__)
    if uid != "-":
        os.setgroups([int(gid)])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent_pid):
        raise SystemExit(EXIT_PARENT_GONE)
    os.execv(command[0], command)  # noqa: S606  # there is no shell here on purpose: arguments are passed as they are


if __name__ == "__main__":
    main(sys.argv[1:])
