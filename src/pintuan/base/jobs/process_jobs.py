"""The jobs of one process: those of all nouns, found by name."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pintuan.base.jobs.passes import Passes
from pintuan.base.jobs.side_by_side import SideBySide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from groups.setbacks import Work
    from pintuan.base.jobs.job import Job, NounJobs
    from pintuan.base.process import Resources


class WrongJobs(Exception):
    """The nouns' jobs do not fit each other: a name is given twice, or to none."""


class ProcessJobs:
    """Runs jobs by name; make it in a running event loop."""

    def __init__(self) -> None:
        self.declared: list[Job] = []
        self.second_tries: dict[str, Work] = {}
        self._nouns: list[NounJobs] = []
        self._runners: dict[str, Passes | SideBySide] = {}
        self._asked: dict[str, _Asked] = {}

    def add(self, jobs: NounJobs) -> None:
        """Takes on the jobs of a noun.

        Raises:
            WrongJobs: another noun has a job or setbacks of the same name.
        """
        for job in jobs.declared:
            if job.name in self._runners:
                raise WrongJobs(f"two jobs are named {job.name!r}")
            runner = Passes if job.in_passes else SideBySide
            self._runners[job.name] = runner(job.name, getattr(jobs, job.method))
        tries = jobs.second_tries()
        if twice := tries.keys() & self.second_tries.keys():
            raise WrongJobs(f"two nouns have setbacks named {min(twice)!r}")
        self.second_tries.update(tries)
        self.declared += jobs.declared
        self._nouns.append(jobs)

    def asker(self, name: str) -> _Asked:
        """Returns how a job is asked for; its noun may be added later."""
        return self._asked.setdefault(name, _Asked(self._runners, name))

    def check(self) -> None:
        """Raises WrongJobs if a job is asked for that no noun has."""
        for name in self._asked.keys() - self._runners.keys():
            close = get_close_matches(name, self._runners, n=1)
            raise WrongJobs(f"no job is named {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))

    async def run(self, name: str) -> None:
        """Does a job; raises what it raises. While its pass is under way, it only asks for one more."""
        await self._runners[name].run()

    def stop(self) -> None:
        """Takes no new long work; work under way goes on."""
        for jobs in self._nouns:
            jobs.stop()

    async def close(self) -> None:
        """Waits for work under way in the background, and begins nothing more."""
        self.stop()
        for runner in self._runners.values():
            await runner.close()


class _Asked:
    """Asks for one job, which is looked up when it is asked for."""

    def __init__(self, runners: dict[str, Passes | SideBySide], name: str) -> None:
        self._runners = runners
        self._name = name

    def __call__(self) -> None:
        self._runners[self._name].ask()

    def after(self, delay_s: float) -> None:
        """Asks for it after `delay_s`; a later call replaces an earlier one."""
        self._runners[self._name].ask_in(delay_s)


@asynccontextmanager
async def open_jobs(process: Resources, nouns: Iterable[type[NounJobs]]) -> AsyncIterator[ProcessJobs]:
    """Opens the jobs of nouns for the life of the block, at whose end none of them is under way.

    Raises:
        WrongJobs: a noun asks for a job that none has, or two jobs have one name.
        SettingsError: a setting that a job needs is missing.
    """
    async with AsyncExitStack() as stack:
        jobs = ProcessJobs()
        for noun in nouns:
            jobs.add(await stack.enter_async_context(noun.open(process, jobs)))
        jobs.check()
        stack.push_async_callback(jobs.close)
        yield jobs
