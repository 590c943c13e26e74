"""The eraser of a whole marketplace, for tests that have a pool and an engine."""

from __future__ import annotations

import asyncpg

from groups.engine import GroupEngine
from pintuan import nouns
from pintuan.people.personal import erasures


class Eraser(erasures.Eraser):
    """An eraser for the rows of every noun."""

    def __init__(self, pool: asyncpg.Pool, engine: GroupEngine) -> None:
        super().__init__(pool, engine, nouns.personal())
