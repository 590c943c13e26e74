"""The parameters that handlers ask for by annotation, beside their body: injected resources and shared
headers.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from litestar.di import Dependency
from litestar.params import HeaderParameter, SkipValidationMarker

from pintuan.base.errors import IdempotencyKeyMissing, InvalidInput
from pintuan.base.process import Resources

IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255
# The printable characters that a header can hold (ISO 8859-1), with spaces inside only.
_PRINTABLE: Final = r"!-~\u00a1-\u00ac\u00ae-\u00ff"
IDEMPOTENCY_KEY_PATTERN: Final = f"^[{_PRINTABLE}]([ {_PRINTABLE}]*[{_PRINTABLE}])?$"
_KEY: Final = re.compile(IDEMPOTENCY_KEY_PATTERN)

# `resources: InjectedResources` in a handler; there is nothing to validate in what we opened ourselves.
InjectedResources: TypeAlias = Annotated[Resources, Dependency(kind="named"), SkipValidationMarker()]

# A handler takes `idempotency_key: IdempotencyKeyHeader = None`, then calls `require_idempotency_key`. If its
# annotation required the header, a call without it would be `invalid` and not `idempotency_key_missing`.
IdempotencyKeyHeader: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Required; a repeated key answers with the same order, for 24 h.",
        required=False,
    ),
]


def require_idempotency_key(value: str | None) -> str:
    """Returns the key of a call that must have one.

    Raises:
        IdempotencyKeyMissing: the header is missing or empty.
        InvalidInput: it is longer than `IDEMPOTENCY_KEY_LENGTH_MAX` or not printable.
    """
    if not value:
        raise IdempotencyKeyMissing
    if len(value) > IDEMPOTENCY_KEY_LENGTH_MAX or not _KEY.fullmatch(value):
        raise InvalidInput.of(
            "Idempotency-Key", f"must be 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters"
        )
    return value
