"""A process asks for as many descriptors as it may have."""

import resource
import subprocess
import sys

from pintuan.running.supervisor.descriptors import DESCRIPTORS_MAX

PROGRAM = """
import resource
from pintuan.running.supervisor.descriptors import allow_many_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allowed = allow_many_descriptors()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert allowed == soft and hard == {hard}
print(soft)
"""


def limit_after(soft: int, hard: int) -> int:
    """What a process of these limits ends up with."""
    program = PROGRAM.format(soft=soft, hard=hard)
    return int(subprocess.check_output([sys.executable, "-c", program]))  # noqa: S603 - our own program.


def test_the_limit_is_raised_to_what_the_system_allows_and_never_lowered() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limit_after(256, 4_096) == 4_096
    assert limit_after(4_096, 4_096) == 4_096
    if hard == resource.RLIM_INFINITY or hard > DESCRIPTORS_MAX:
        assert limit_after(256, DESCRIPTORS_MAX + 1) == DESCRIPTORS_MAX
        assert limit_after(DESCRIPTORS_MAX + 1, DESCRIPTORS_MAX + 1) == DESCRIPTORS_MAX + 1
