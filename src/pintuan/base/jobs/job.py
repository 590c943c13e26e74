"""Jobs: the work of a noun that no caller waits for.

A noun keeps it in `jobs.py`, in a class `Jobs`. Each method marked with `job` is one kind of work, and every
worker begins it by its own clock. Work of one kind often makes work of another, whose noun may stand above or
below. `Asks` hands out a way to ask for it by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from groups.setbacks import Work
    from pintuan.base.process import Resources

_MARK: Final = "_job"
_Method = TypeVar("_Method", bound=Callable[[Any], Awaitable[None]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of work, known to metrics, turns and doorbells by its `name`.

    It is begun every `every_s` seconds, by every worker or by one of them for all. A job that has a doorbell
    is begun sooner when any process rings for it. In passes it never overlaps within a process.
    """

    name: str
    method: str
    every_s: float
    one_for_all: bool
    has_doorbell: bool
    in_passes: bool


def job(
    name: str,
    *,
    every_s: float,
    one_for_all: bool = False,
    has_doorbell: bool = False,
    in_passes: bool = True,
) -> Callable[[_Method], _Method]:
    """Marks a method of a noun's `Jobs` as a job; see `Job`."""

    def mark(method: _Method) -> _Method:
        method.__dict__[_MARK] = Job(
            name=name,
            method=method.__name__,
            every_s=every_s,
            one_for_all=one_for_all,
            has_doorbell=has_doorbell,
            in_passes=in_passes,
        )
        return method

    return mark


class Ask(Protocol):
    """Asks this process for one job; its failure is told and counted."""

    def __call__(self) -> None:
        """Asks for it now; returns at once."""
        ...

    def after(self, delay_s: float) -> None:
        """Asks for it after `delay_s`; a later call replaces an earlier one."""
        ...


class Asks(Protocol):
    """The requests that a noun's jobs may make of other jobs of their process."""

    @property
    def second_tries(self) -> Mapping[str, Work]:
        """Second tries of the rows that sweeps failed on, of all nouns, once all have been opened."""
        ...

    def asker(self, name: str) -> Ask:
        """Returns how a job is asked for; the process does not start if no noun has it."""
        ...


class NounJobs:
    """The jobs of one noun in one process."""

    declared: ClassVar[tuple[Job, ...]] = ()

    def __init_subclass__(cls) -> None:
        members = (getattr(member, "__dict__", {}) for member in vars(cls).values())
        cls.declared += tuple(member[_MARK] for member in members if _MARK in member)

    @classmethod
    def open(cls, process: Resources, asks: Asks) -> AbstractAsyncContextManager[Self]:
        """Opens them for the life of the block, at whose end none of them is under way."""
        raise NotImplementedError

    def second_tries(self) -> Mapping[str, Work]:
        """Returns how rows are tried again that these jobs failed on, by the names of their setbacks."""
        return {}

    def stop(self) -> None:
        """Takes nothing new, because the process is about to end; work under way goes on."""
