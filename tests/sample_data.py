"""Real files of other systems, no part of the project: tests that read them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("PINTUAN_SAMPLE_DATA") or PROJECT.parent / "shared" / "data")
SHOPIFY_FILES = ("shopify-apparel.csv", "shopify-home-and-garden.csv")


def sample(name: str) -> bytes:
    """The content of a sample file."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the sample data; PINTUAN_SAMPLE_DATA names their folder")
    return path.read_bytes()
