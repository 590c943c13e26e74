"""CPU time of processes and of what they started."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.cpu import Cpu, cpu_s

SPIN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"


def test_a_process_counts_with_children_that_run_and_those_that_ended() -> None:
    ended = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPIN!r}], check=True)"
    program = f"{ended}\n{SPIN}\nprint('done', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(  # noqa: S603 - the program is the one above.
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        used_s = cpu_s([process.pid])
        of_parent_s = cpu_s([os.getpid()])

    assert used_s >= 0.38
    assert of_parent_s >= used_s


def test_the_cost_of_a_phase_is_the_difference_of_two_counts() -> None:
    cost = Cpu(5.0, 3.0, 2.0, 1.0) - Cpu(1.0, 1.0, 1.0, 1.0)

    assert cost == Cpu(4.0, 2.0, 1.0, 0.0)
    assert cost.total_s == 7.0
