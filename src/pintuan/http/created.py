"""What a call that made something answers: 201, and where it is from now on (RFC 9110 section 15.3.2)."""

from __future__ import annotations

from typing import Final, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader

CREATED: Final = 201
# What a handler that answers with `created` says of itself in the contract.
LOCATION_HEADERS: Final = (
    ResponseHeader("Location", description="Where it can be read.", documentation_only=True),
)

T = TypeVar("T")


def created(body: T, location: str) -> Response[T]:
    """Returns the answer with what was made, which `location` is the path of."""
    return Response(body, status_code=CREATED, headers={"location": location})
