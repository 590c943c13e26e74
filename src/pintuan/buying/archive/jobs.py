"""The job of the archive: moving what is over into it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from pintuan.base.jobs.job import NounJobs, job
from pintuan.base.jobs.passes import until_nothing_left
from pintuan.buying.archive.service import Archivist

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Asks
    from pintuan.base.process import Resources

ARCHIVED_PER_ROUND: Final = 1_000
DAY_MS: Final = 24 * 3_600_000


class Jobs(NounJobs):
    """Orders are archived a while after they ended; without an archivist never."""

    def __init__(self, archivist: Archivist | None) -> None:
        self._archivist = archivist

    @classmethod
    @asynccontextmanager
    async def open(cls, process: Resources, asks: Asks) -> AsyncIterator[Self]:  # noqa: ARG003
        """Opens them for the life of the block."""
        age_days = process.settings.archive_after_days
        yield cls(Archivist(process.pool, age_ms=age_days * DAY_MS) if age_days else None)

    def second_tries(self) -> Mapping[str, Work]:
        """Returns those of the archivist."""
        return {} if self._archivist is None else self._archivist.second_tries()

    @job("archive", every_s=20, one_for_all=True)
    async def archive(self) -> None:
        """Archives what has been over for long enough."""
        if self._archivist is not None and await self._archivist.may_begin():
            await until_nothing_left(self._archivist.archive_groups, ARCHIVED_PER_ROUND)
            await until_nothing_left(self._archivist.archive_solo_orders, ARCHIVED_PER_ROUND)
            await until_nothing_left(self._archivist.forget_limits, ARCHIVED_PER_ROUND)
