"""The kit's own SQL, in files beside its modules."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from sql.loader import Queries, parse_statements


@cache
def kit_statements(noun: str) -> Queries:
    """Returns the statements of `benchmarks/<noun>.sql`, where a noun may lead into a folder.

    Raises FileNotFoundError and QueryFileError.
    """
    file = f"benchmarks/{noun}.sql"
    text = files("benchmarks").joinpath(f"{noun}.sql").read_text(encoding="utf-8")
    return Queries(file, parse_statements(noun, text, file=file))
