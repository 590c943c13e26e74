"""A fault that cannot be done is told as skipped, and ends nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import asyncpg
import pytest

from benchmarks.chaos.nemeses import NEMESES, Skipped
from benchmarks.chaos.plan import Fault

if TYPE_CHECKING:
    from benchmarks.chaos.site import Site

pytestmark = pytest.mark.anyio


class RecoveringSite:
    async def connect(self) -> asyncpg.Connection:
        raise asyncpg.CannotConnectNowError("the database system is in recovery mode")


@pytest.mark.parametrize("kind", ["lock_postgres", "readonly_postgres"])
async def test_a_fault_of_a_postgres_that_still_recovers_is_skipped(kind: str) -> None:
    site = cast("Site", RecoveringSite())

    with pytest.raises(Skipped, match="in recovery mode"):
        await NEMESES[kind](site, Fault(kind=kind, at_ms=0, lasting_ms=0, node=0, both=False))
