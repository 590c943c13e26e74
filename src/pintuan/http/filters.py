"""Query parameters by which lists are filtered. In a handler: `q: QueryText = None`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from litestar.params import QueryParameter

from pintuan.base.errors import InvalidInput
from pintuan.base.wire.times import instant_of
from pricing.currency import AMOUNT_MINOR_MAX

# Text of a filter: bounded, and without the one character that no text in Postgres holds.
FILTER_CHARS_MAX: Final = 200
FILTER_PATTERN: Final = r"^[^\x00]*$"
# As many as `search_query` in Postgres looks for.
QUERY_WORDS_MAX: Final = 8
# Times are texts to the framework, which would also take a bare number for one.
TIME: Final = {"format": "date-time"}

_WORD: Final = re.compile(r"[^\W_]+")

QueryText: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX,
        pattern=FILTER_PATTERN,
        description="Words that must all be found, each the whole of a word or its beginning; at most "
        f"{QUERY_WORDS_MAX} different ones. One letter is a beginning only as the last word.",
    ),
]
MerchantParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only what this merchant sells."
    ),
]
SellerParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX,
        pattern=FILTER_PATTERN,
        description="Whose sales or books; an admin must name a merchant, a merchant sees their own.",
    ),
]
CurrencyParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Z]{3}$", max_length=3, description="Only prices in this currency."),
]
PriceParameter: TypeAlias = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=AMOUNT_MINOR_MAX,
        description="Bound of the price in minor units, included; compares like with like beside `currency`.",
    ),
]
IdParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only what has this id."),
]


def query_of(text: str | None) -> str | None:
    """Returns the words that the query parameter `q` asks for, each once; None where it was left out.

    Raises:
        InvalidInput: there are more than are looked for.
    """
    if text is None:
        return None
    if len(set(_WORD.findall(text.casefold()))) > QUERY_WORDS_MAX:
        raise InvalidInput.of("q", f"has more than {QUERY_WORDS_MAX} different words")
    return " ".join(dict.fromkeys(text.split()))


def time_of(field: str, text: str | None) -> datetime | None:
    """Returns the time that the query parameter `field` tells; None where it was left out.

    Raises:
        InvalidInput: it is no RFC 3339 time with an offset.
    """
    try:
        return None if text is None else instant_of(text)
    except ValueError as error:
        raise InvalidInput.of(field, str(error)) from error
