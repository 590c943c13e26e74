"""Every command can say what it has to on a terminal that lacks the letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND_S_MAX = 60


@pytest.mark.parametrize("encoding", ["iso-8859-9", "cp1252", "utf-8"])
def test_an_arrow_does_not_end_a_command_where_the_encoding_has_none(tmp_path: Path, encoding: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "pintuan", "doctor"],
        cwd=tmp_path,
        env={**os.environ, "PINTUAN_ENV": "staging", "PYTHONIOENCODING": f"{encoding}:strict"},
        capture_output=True,
        check=False,
        timeout=COMMAND_S_MAX,
    )
    assert (outcome.returncode, outcome.stderr) == (1, b"")
    arrow = "→" if encoding == "utf-8" else "\\u2192"
    assert f"{arrow} change PINTUAN_ENV, or leave it out" in outcome.stdout.decode(encoding)
