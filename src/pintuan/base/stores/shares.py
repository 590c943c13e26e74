"""The kinds of work that have connections to Postgres of their own."""

from __future__ import annotations

from enum import StrEnum


class Share(StrEnum):
    """A pool of connections to Postgres that one kind of work has to itself."""

    RECORDING = "recording"
    PLACING = "placing"
    READS = "reads"
    SEARCH = "search"
    ACCOUNTS = "accounts"
    API_KEYS = "api keys"
    MERCHANTS = "merchants"
    OPERATOR = "operator"
