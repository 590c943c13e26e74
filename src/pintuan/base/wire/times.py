"""Times as requests and responses carry them: RFC 3339, in responses always UTC with a `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

# In a request any offset may stand, but one must: a time without it means nothing to a database.
Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True, examples=["2026-05-01T18:30:00Z"])]


def moment(description: str, example: str = "2030-01-01T12:00:00Z") -> msgspec.Meta:
    """Returns what the document says of a field of an answer that is a time; it is in UTC."""
    return msgspec.Meta(
        description=description,
        examples=[example],
        # msgspec writes a format only if it checks the offset when it decodes.
        extra_json_schema={"format": "date-time"},
    )


def in_utc(time: datetime) -> datetime:
    """Returns the same instant in UTC, which msgspec writes with a `Z`.

    Raises:
        ValueError: the time has no offset.
        OverflowError: in UTC it lies before the year 1 or after the year 9999.
    """
    if time.tzinfo is None:
        raise ValueError("the time has no offset")
    return time.astimezone(UTC)


def instant_of(text: str) -> datetime:
    """Returns the time that an RFC 3339 text of a query tells, which says its offset.

    Raises:
        ValueError: it tells none, or one that cannot be told in UTC.
    """
    try:
        time = msgspec.convert(text, Instant, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError("is not a time such as 2026-05-01T18:30:00Z") from error
    if not has_utc(time):
        raise ValueError("must be in the years 1 to 9999 in UTC")
    return time


def has_utc(time: datetime) -> bool:
    """Says whether a time with an offset can be told in UTC; `9999-12-31T23:59:59-01:00` cannot."""
    try:
        in_utc(time)
    except OverflowError:
        return False
    return True
