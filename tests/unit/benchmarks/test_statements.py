"""The kit's own SQL."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks
from benchmarks.statements import kit_statements

KIT = Path(benchmarks.__path__[0])
NOUNS = sorted(path.relative_to(KIT).with_suffix("").as_posix() for path in KIT.rglob("*.sql"))


@pytest.mark.parametrize("noun", NOUNS)
def test_every_statement_is_used(noun: str) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in KIT.rglob("*.py"))

    assert [name for name in kit_statements(noun) if f'"{name}"' not in code] == []
