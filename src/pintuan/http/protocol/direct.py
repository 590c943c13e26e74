"""The answers given before the application is asked, as the HTTP protocol sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Call(Protocol):
    """A request that has come whole, and where its answer goes. Names of `headers` are in lower case."""

    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Sends the answer; `headers` are whole lines, to which those of the connection are added."""
        ...

    def decline(self) -> None:
        """Has the application answer."""
        ...


class Answering(Protocol):
    """Answers some calls by itself."""

    def begin(self, call: Call) -> bool:
        """Takes a call on and returns true, or does nothing and returns false: the application answers."""
        ...
