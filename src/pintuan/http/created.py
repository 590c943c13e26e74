"""The answer of a call that made an object: 201, and the object's path (RFC 9110 section 15.3.2)."""

from __future__ import annotations

from typing import Final, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader

CREATED: Final = 201
# The entry in the contract of a handler that answers with `created`.
LOCATION_HEADERS: Final = (
    ResponseHeader("Location", description="Where it can be read.", documentation_only=True),
)

T = TypeVar("T")


def created(body: T, location: str) -> Response[T]:
    """Returns the answer with the new object, which is found at the path `location`."""
    return Response(body, status_code=CREATED, headers={"location": location})
