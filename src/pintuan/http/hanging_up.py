"""How a layer ends the connection of a call, for which ASGI has no message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXTENSION: Final = "pintuan.hang_up"
NOW: Final = "now"


def hang_up_of(scope: Mapping[str, Any]) -> Callable[[], None]:
    """Returns what drops the connection of an ASGI scope, with all that was not sent yet.

    The server then tells the application that its client is gone. A server that is not ours lets nobody hang
    up, and nothing happens.
    """
    hang_up: Callable[[], None] | None = (scope.get("extensions") or {}).get(EXTENSION, {}).get(NOW)
    return hang_up or _nothing


def _nothing() -> None:
    pass
