"""What the files of migrations say of themselves."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from sql.migration_errors import MigrationFileError
from sql.migration_files import read_migrations

# What takes something away that a version before may use, or refuses what it may write.
TAKES_AWAY = re.compile(
    r"\bDROP\s+(?!INDEX\b)\w+"
    r"|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b"
    # Behind OR it is what a trigger listens for.
    r"|(?<!\bOR )\bTRUNCATE\b",
    re.IGNORECASE,
)
# Said again in the same file, and so only replaced.
REPLACES = re.compile(
    r"DROP\s+(?:CONSTRAINT|TRIGGER|INDEX(?:\s+CONCURRENTLY)?|FUNCTION|VIEW)\s+(?:IF\s+EXISTS\s+)?(\w+)",
    re.IGNORECASE,
)


def test_migrations_that_take_something_away_say_which_version_they_need() -> None:
    unmarked = [
        f"{migration.file}: {found[0]}"
        for migration in read_migrations(files("sql").joinpath("migrations"))
        if migration.needs is None
        for found in TAKES_AWAY.finditer(_without_replaced(migration.text))
    ]
    assert unmarked == [], "the version before may use it: mark the file with -- needs: NNNN"


@pytest.mark.parametrize(
    "marking",
    ["-- needs: 0004", "-- needs: 0000", "-- needs: 3", "-- needs:", "-- needs: 0002\n-- needs: 0001"],
)
def test_a_marking_that_says_nothing_is_refused(tmp_path: Path, marking: str) -> None:
    (tmp_path / "0003_gone.sql").write_text(f"{marking}\nDROP TABLE shelf;\n")
    with pytest.raises(MigrationFileError, match=r"^0003_gone\.sql: mark it once, as -- needs: NNNN"):
        read_migrations(tmp_path)


def test_a_marking_counts_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "0003_gone.sql").write_text("-- Nothing uses it.\nDROP TABLE shelf;\n  -- needs: 0002\n")
    (tmp_path / "0004_more.sql").write_text("CREATE TABLE drawer (id integer); -- needs: no old version\n")
    assert [migration.needs for migration in read_migrations(tmp_path)] == [2, None]


@pytest.mark.parametrize("marking", ["-- uses:", "-- uses: Clock", "-- uses: a b", "-- uses: a\n-- uses: b"])
def test_a_use_that_says_nothing_is_refused(tmp_path: Path, marking: str) -> None:
    (tmp_path / "0003_more.sql").write_text(f"{marking}\nCREATE TABLE drawer (id integer);\n")
    with pytest.raises(MigrationFileError, match=r"^0003_more\.sql: mark it once, as -- uses: clock, deals"):
        read_migrations(tmp_path)


def test_a_file_outside_a_transaction_uses_nothing(tmp_path: Path) -> None:
    text = "-- no-transaction\n-- uses: clock\nCREATE INDEX CONCURRENTLY late ON shelf (epoch_us(at));\n"
    (tmp_path / "0003_index.sql").write_text(text)
    with pytest.raises(
        MigrationFileError, match=r"^0003_index\.sql: outside a transaction it can use nothing"
    ):
        read_migrations(tmp_path)


def _without_replaced(text: str) -> str:
    """Leaves out comments, and what is dropped to be made again with another definition."""
    text = re.sub(r"--[^\n]*", "", text)
    return REPLACES.sub(lambda found: "" if len(re.findall(rf"\b{found[1]}\b", text)) > 1 else found[0], text)
