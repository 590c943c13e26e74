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
from pintuan.people.personal.erasures import STORE_TROUBLE, Eraser, insert_erasure
from sql.retry import retry_serialization

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pintuan.base.auth import Principal
    from pintuan.base.personal import Person, Section
    from pintuan.base.process import Resources


# Those a caller waits for; workers do the others within a second or two.
ROWS_SCRUBBED_AT_ONCE: Final = 50

_encode: Final = msgspec.json.Encoder().encode
_logger = structlog.get_logger("pintuan.people.personal")


async def export(resources: Resources, principal: Principal) -> AsyncIterator[bytes]:
    """Returns the parts of one JSON document shaped as `document.shape_of`, lists of any length page by page.

    Raises:
        Unauthenticated: the caller was erased.
    """
    await require_not_erased(resources.pool, principal.subject)
    sections = sections_of(resources.personal)
    async with resources.pool.acquire() as connection:
        person = await person_of(connection, resources.keyring, principal)
        read = {
            section.name: await section.read(connection, resources.keyring, person)
            for section in sections
            if isinstance(section, Whole)
        }
    return _document(sections, read, resources.pool, person)


async def erase(resources: Resources, principal: Principal) -> None:
    """Forgets the caller; workers go on with many rows, and with orders that run when they have ended.

    Raises:
        Unauthenticated: the caller was erased already.
    """
    subject = principal.subject
    await require_not_erased(resources.pool, subject)
    # From the last noun to the first, so that rows go before those they stand on.
    nouns = resources.personal[::-1]

    async def transaction() -> None:
        async with resources.pool.acquire() as connection, connection.transaction():
            person = await person_of(connection, resources.keyring, principal)
            for noun in nouns:
                if noun.hold is not None:
                    await noun.hold(connection, person)
            # While the contacts are there by which limits know the person again.
            await insert_erasure(connection, subject)
            for noun in nouns:
                if noun.forget is not None:
                    await noun.forget(connection, person)

    await retry_serialization(transaction)
    resources.verifier.refuse(subject)
    eraser = Eraser(resources.pool, resources.engine, resources.personal)
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
