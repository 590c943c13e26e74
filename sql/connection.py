"""The connections that statements are run on."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"
"""A connection, opened for good or borrowed from a pool."""
