"""How a noun declares the rows it keeps about people: how they are exported, and how they are forgotten.

A noun with rows of a person has a `personal.py`, which defines `PERSONAL`. `pintuan.people.personal` goes
through all of them, in the order of `pintuan.nouns`, and knows none:

    an export   reads every `Whole` section over one connection, then sends the document, `Paged` sections
                page by page
    an erasure  `hold` of every noun, then `forget` of every noun, in one transaction and from the last noun
                to the first, so that rows go before the rows they stand on
    afterwards  `staying.scrub` of every noun, again and again until nothing is left that names the person
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pintuan.base.auth.principal import Principal

if TYPE_CHECKING:
    import asyncpg

    from pintuan.base.keyring import Keyring
    from sql import Connection


class Chapter(IntEnum):
    """The chapters of an exported document, in their order; within one, sections are in the nouns' order."""

    ACCOUNT = 1
    MESSAGES = 2
    PURCHASES = 3


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A caller, with the keyed hashes their rows may bear in place of an address.

    `digests` are those of their contacts, `mailbox_digests` those by which invitations count people.
    """

    principal: Principal
    digests: Sequence[bytes]
    mailbox_digests: Sequence[bytes]

    @property
    def subject(self) -> str:
        """The subject of their tokens, which their rows bear."""
        return self.principal.subject


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """A person who was forgotten. Rows that stay get `alias` in place of `subject`.

    Rows made later than `until` are of somebody new with the same subject. `holders` are digests under which
    limits know the person again.
    """

    subject: str
    alias: str
    holders: Sequence[bytes]
    until: datetime


class Scrubbed(msgspec.Struct, frozen=True, kw_only=True):
    """The work of one step: how many rows got the alias, and orders whose seats lanes are told of first."""

    rows: int
    order_ids: Sequence[str] = ()


ReadWhole: TypeAlias = Callable[["Connection", "Keyring", Person], Awaitable[Any]]
ReadPages: TypeAlias = Callable[["asyncpg.Pool", Person], AsyncIterator[Sequence[Any]]]
InErasure: TypeAlias = Callable[["Connection", Person], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One member of the exported document; `shape` is its type on the wire."""

    name: str
    shape: Any
    description: str
    chapter: Chapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Section):
    """A section that is small enough to be read at once; `read` bounds it."""

    read: ReadWhole


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged(Section):
    """A list that is sent as it is read; `pages` yields parts of it, each with at least one entry."""

    pages: ReadPages


@dataclass(frozen=True, slots=True, kw_only=True)
class Staying:
    """Rows that outlive the person, because sums are made of them.

    `scrub` gives the alias to at most so many rows that are over, in the caller's transaction. `any_left`
    says whether a row still has the subject.
    """

    scrub: Callable[[Connection, Erased, int], Awaitable[Scrubbed]]
    any_left: Callable[[Connection, Erased], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """Everything a noun keeps about people.

    `tables` are those whose rows of a person it forgets. `hold` takes locks that must come before all others
    of an erasure, and `forget` drops the person's rows; both run in its transaction.
    """

    tables: Sequence[str] = ()
    export: Sequence[Section] = ()
    hold: InErasure | None = None
    forget: InErasure | None = None
    staying: Staying | None = None
