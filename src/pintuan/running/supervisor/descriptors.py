"""How many files and connections a process may have open at once."""

import resource

# Far more connections than one process can serve. Many systems allow 1,024, and more to a process that asks.
DESCRIPTORS_MAX = 65_536


def allow_many_descriptors() -> int:
    """Raises this process' own limit as far as the system lets it, and returns it; never lowers it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_MAX, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
