"""Rows that a sweep failed on: they leave its queue, and are tried again ever less often.

A sweep takes what has waited longest. A row on which it always fails would be in every round, and enough of
such rows would fill the round. A failure is therefore noted, in a transaction of its own. The sweep passes
over noted rows, and `SecondTries` tries them again, after pauses that double. A row that failed
`ATTEMPTS_MAX` times is set aside: tried once an hour, and shown by `pintuan audit`, a metric and an alert.

Sweeps that lend their rows for a while, and sweeps that only tidy up, try a noted row by themselves once its
pause is over. `SecondTries` knows nothing of these: that a row is well shows by its not failing for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from sql import load_queries

QUERIES = load_queries("groups.queries", "setbacks")
FIRST_PAUSE_MS: Final = 500
PAUSE_MS_MAX: Final = 60_000
# With the pauses between them, about a quarter of an hour of trying.
ATTEMPTS_MAX: Final = 20
SET_ASIDE_PAUSE_MS: Final = 3_600_000
# Longer than one row takes; a row whose lease ran out has nobody trying it.
LEASE_MS: Final = 60_000
# A noted row that its queue tries by itself is well when it has not failed for this long since it might have.
STALE_MS: Final = 600_000
# To find one row at fault among a thousand takes about ten failures; the remaining rows come in the next
# pass.
FAILURES_PER_PASS_MAX: Final = 64
# The time that a pass of second tries may take for one sweep. The rows left over come again when their lease
# is over.
TRYING_S_MAX: Final = 20.0
FAILURE_SIZE_MAX: Final = 500

Work: TypeAlias = Callable[[Sequence[str]], Awaitable[int]]
"""Does some rows of a sweep, all or none of them; returns how many it handled."""

# A store that is away says nothing about a row, and there would be no place to note it.
STORE_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
)

_log = logging.getLogger("groups.setbacks")


class Setbacks:
    """The setbacks of one sweep; any number of processes may note them."""

    def __init__(self, pool: asyncpg.Pool, sweep: str) -> None:
        self._pool = pool
        self._sweep = sweep

    async def each(self, row_ids: Sequence[str], work: Work) -> int:
        """Does `work` on all rows at once, where it fails on halves of them, and notes the rows at fault.

        Returns how many rows were handled. Raises what `work` raises while a store is away.
        """
        parts = [row_ids] if row_ids else []
        handled = failed_calls = 0
        failures: dict[str, Exception] = {}
        try:
            while parts and failed_calls < FAILURES_PER_PASS_MAX:
                part = parts.pop()
                try:
                    handled += await work(part)
                except STORE_AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a row raises, the others go on.
                    failed_calls += 1
                    if len(part) == 1:
                        failures[part[0]] = error
                    else:
                        middle = len(part) // 2
                        parts += [part[middle:], part[:middle]]
        finally:
            await self.note(failures)
        return handled

    async def note(self, failures: Mapping[str, Exception]) -> None:
        """Notes rows that failed, each with its error.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres is away, and nothing is noted.
        """
        if not failures:
            return
        rows = await self._pool.fetch(
            QUERIES["note_setbacks"],
            self._sweep,
            list(failures),
            [repr(error).replace("\0", "")[:FAILURE_SIZE_MAX] for error in failures.values()],
            FIRST_PAUSE_MS,
            PAUSE_MS_MAX,
            ATTEMPTS_MAX,
            SET_ASIDE_PAUSE_MS,
        )
        for row in rows:
            self._tell(row, failures[row["row_id"]])

    async def forget(self, row_ids: Sequence[str]) -> None:
        """Forgets rows that went well."""
        await self._pool.execute(QUERIES["forget_setbacks"], self._sweep, row_ids)

    def _tell(self, row: asyncpg.Record, error: Exception) -> None:
        """Logs the first failure of a row with its traceback, and each later one in a line."""
        name, attempts = f"{self._sweep} {row['row_id']}", row["attempts"]
        if attempts == 1:
            _log.error("%s failed and is tried again", name, exc_info=error)
        elif row["set_aside_now"]:
            _log.error("%s failed %d times and is set aside: %r", name, attempts, error)
        else:
            _log.warning("%s failed for the %d. time: %r", name, attempts, error)


class Broom:
    """Clears away rows that are over, by two statements that share their first arguments.

    `due` lists ids, at most as many as its last argument, and passes over noted rows; `drop` clears away
    finished ones among its last argument.
    """

    def __init__(
        self, pool: asyncpg.Pool, sweep: str, *, due: str, drop: str, arguments: Sequence[object] = ()
    ) -> None:
        self._pool = pool
        self._setbacks = Setbacks(pool, sweep)
        self._due = due
        self._drop_sql = drop
        self._arguments = arguments

    async def sweep(self, limit: int) -> int:
        """Clears away up to `limit` rows; returns how many."""
        rows = await self._pool.fetch(self._due, *self._arguments, limit)
        return await self._setbacks.each([row["id"] for row in rows], self._drop)

    async def _drop(self, row_ids: Sequence[str]) -> int:
        status = await self._pool.execute(self._drop_sql, *self._arguments, row_ids)
        return int(status.split()[-1])


class SecondTries:
    """Tries rows again that a sweep failed on; `works` says how, by the names of the sweeps.

    Sweeps may be added to `works` until the first look.
    """

    def __init__(self, pool: asyncpg.Pool, works: Mapping[str, Work]) -> None:
        self._pool = pool
        self._works = works

    async def forget_stale(self, limit: int) -> int:
        """Forgets up to `limit` noted rows of other sweeps that are well; returns how many."""
        status = await self._pool.execute(
            QUERIES["forget_stale_setbacks"], list(self._works), STALE_MS, limit
        )
        return int(status.split()[-1])

    async def look(self, limit: int) -> int:
        """Tries up to `limit` rows whose pause is over, each alone; returns how many there were.

        Sweeps are tried side by side, so that one whose rows take long keeps no other waiting in this pass.
        """
        rows = await self._pool.fetch(QUERIES["take_due_setbacks"], list(self._works), limit, LEASE_MS)
        of_sweeps: dict[str, list[str]] = {}
        for row in rows:
            of_sweeps.setdefault(row["sweep"], []).append(row["row_id"])
        outcomes = await asyncio.gather(
            *(self._try(sweep, row_ids) for sweep, row_ids in of_sweeps.items()), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return len(rows)

    async def _try(self, sweep: str, row_ids: Sequence[str]) -> None:
        setbacks = Setbacks(self._pool, sweep)
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + TRYING_S_MAX
        for row_id in row_ids:
            if clock() > ends_at_s:
                return
            try:
                await self._works[sweep]([row_id])
            except STORE_AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - it is noted, and the next one tried.
                await setbacks.note({row_id: error})
            else:
                await setbacks.forget([row_id])


class SetbackCount(NamedTuple):
    """Counts a sweep's failing rows, and the further ones that are set aside."""

    failing: int
    set_aside: int


async def count_setbacks(pool: asyncpg.Pool) -> dict[str, SetbackCount]:
    """Returns the counts of the sweeps that have any."""
    rows = await pool.fetch(QUERIES["count_setbacks"])
    return {row["sweep"]: SetbackCount(row["failing"], row["set_aside"]) for row in rows}
