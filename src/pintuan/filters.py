"""Query parameters by which lists are filtered. In a handler: `q: QueryText = None`."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from litestar.params import QueryParameter

from pricing.currency import AMOUNT_MINOR_MAX

# Text of a filter: bounded, and without the one character that no text in Postgres holds.
FILTER_CHARS_MAX: Final = 200
FILTER_PATTERN: Final = r"^[^\x00]*$"

QueryText: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX,
        pattern=FILTER_PATTERN,
        description="Words that must all be found, each the whole of a word or its beginning.",
    ),
]
MerchantParameter: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=FILTER_CHARS_MAX, pattern=FILTER_PATTERN, description="Only what this merchant sells."
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
