"""The refusals that every noun may use; the group engine's are in `groups.errors`.

    RequestError
    ├── ClientGone                        the body did not arrive in full
    └── Rejected
        ├── InvalidInput(errors)          a field, a parameter or the whole body does not fit the contract
        ├── IdempotencyKeyMissing
        ├── Unauthenticated               no token where one is needed, or a token that does not verify
        ├── Forbidden                     a valid token of the wrong role
        ├── NotFound(what)                also somebody else's object
        ├── UnsupportedMediaType
        ├── LimitReached                  the caller has as many of these as one may have
        ├── NotNow(retry_after_s)         nothing was decided; the same call is worth repeating
        │   ├── RateLimited
        │   └── Overloaded
        └── NotReady(errors)              the readiness check found parts that do not work

Refusals of a single noun stand beside it. No class knows a status code: `pintuan.http.problems` maps them in
one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One field at fault, named by its path in the request (`variants[0].list_price.amount`)."""

    field: Annotated[
        str, msgspec.Meta(description="Path of the field in the request.", examples=["ladder[1].unit_price"])
    ]
    message: Annotated[
        str,
        msgspec.Meta(
            description="What is wrong with it.", examples=["must be below the price of the tier before it"]
        ),
    ]


class RequestError(Exception):
    """Base of everything the application refuses a request with."""


class ClientGone(RequestError):
    """The client hung up before its body had arrived; nobody receives the answer."""


class Rejected(RequestError):
    """The request was refused."""


class InvalidInput(Rejected):
    """One or more fields do not fit the contract; `errors` names each and its fault."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = list(errors)

    @classmethod
    def of(cls, field: str, message: str) -> InvalidInput:
        """Returns the refusal of a single field."""
        return cls([FieldError(field, message)])


class IdempotencyKeyMissing(Rejected):
    """The call changes money or seats and needs an `Idempotency-Key` header."""


class Unauthenticated(Rejected):
    """No token was sent where one is needed, or the token does not verify."""


class Forbidden(Rejected):
    """The caller is known and has the wrong role."""


class NotFound(Rejected):
    """Nothing with this id exists for the caller; `what` is the noun, for the reader of the message."""

    def __init__(self, what: str = "resource") -> None:
        super().__init__(f"No such {what}.")
        self.what = what


class UnsupportedMediaType(Rejected):
    """The request carries a body that is not `application/json`."""


class LimitReached(Rejected):
    """The caller has as many of these as anybody may have; one must go before another is made."""


class NotNow(Rejected):
    """Nothing was decided; after `retry_after_s` seconds the same call is worth repeating."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(NotNow):
    """The caller, their network or the object of the call is over its rate."""


class Overloaded(NotNow):
    """Too much is under way, or a store did not answer in time."""


class NotReady(Rejected):
    """This process cannot serve; `errors` names each part that fails with why."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = list(errors)
