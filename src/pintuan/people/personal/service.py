"""Gives a person everything that is kept about them, and forgets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from pintuan.base.personal import Paged, Whole
from pintuan.people.identity.erased import require_not_erased
from pintuan.people.identity.personal import person_of
from pintuan.people.personal.document import sections_of
from pintuan.people.personal.erasures import STORE_TROUBLE, insert_erasure
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.base.auth.verifier import Verifier
    from pintuan.base.keyring import Keyring
    from pintuan.base.personal import Person, Personal, Section
    from pintuan.people.personal.erasures import Eraser


# The lanes that a caller waits for; workers do the others within a second or two.
ROWS_SCRUBBED_AT_ONCE: Final = 50

_encode: Final = msgspec.json.Encoder().encode
_logger = structlog.get_logger("pintuan.people.personal")


async def export(
    pool: asyncpg.Pool, keyring: Keyring, nouns: Sequence[Personal], principal: Principal
) -> AsyncIterator[bytes]:
    """Returns the parts of one JSON document shaped as `document.shape_of`, lists of any length page by page.

    `nouns` are all that keep something about people.

    Raises:
        Unauthenticated: the caller was erased.
    """
    await require_not_erased(pool, principal.subject)
    sections = sections_of(nouns)
    async with pool.acquire() as connection:
        person = await person_of(connection, keyring, principal)
        read = {
            section.name: await section.read(connection, keyring, person)
            for section in sections
            if isinstance(section, Whole)
        }
    return _document(sections, read, pool, person)


async def erase(
    pool: asyncpg.Pool, keyring: Keyring, verifier: Verifier, eraser: Eraser, principal: Principal
) -> None:
    """Forgets the caller; workers go on with many rows, and with orders that run when they have ended.

    `verifier` is that of the process, which accepts no token of theirs any more.

    Raises:
        Unauthenticated: the caller was erased already.
    """
    subject = principal.subject
    await require_not_erased(pool, subject)
    # From the last noun to the first, so that rows go before those they stand on.
    nouns = eraser.nouns[::-1]

    async def transaction() -> None:
        async with pool.acquire() as connection, connection.transaction():
            person = await person_of(connection, keyring, principal)
            for noun in nouns:
                if noun.hold is not None:
                    await noun.hold(connection, person)
            # While the contacts are there by which limits know the person again.
            await insert_erasure(connection, subject)
            for noun in nouns:
                if noun.forget is not None:
                    await noun.forget(connection, person)

    await retry_serialization(transaction)
    verifier.refuse(subject)
    try:
        await eraser.scrub(subject, rows_max=ROWS_SCRUBBED_AT_ONCE)
    except STORE_TROUBLE as error:
        # The erasure stands, and the workers look at it within seconds.
        _logger.warning("orders are scrubbed later", error=repr(error))


async def _document(
    sections: Sequence[Section], read: Mapping[str, Any], pool: asyncpg.Pool, person: Person
) -> AsyncIterator[bytes]:
    """Yields a JSON object with a member for each section, cut where pages are read."""
    text = b"{"
    for section in sections:
        text += _encode(section.name) + b":"
        if isinstance(section, Paged):
            yield text + b"["
            separator = b""
            async for page in section.pages(pool, person):
                yield separator + b",".join(_encode(entry) for entry in page)
                separator = b","
            text = b"],"
        else:
            text += _encode(read[section.name]) + b","
    yield text[:-1] + b"}"
