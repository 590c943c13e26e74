"""An API process exactly as the supervisor runs it, which serves the baselines, too."""

from __future__ import annotations

from benchmarks.baselines import HANDLERS, PREFIX
from pintuan.app import ROUTES
from pintuan.http.fair_share import layer
from pintuan.http.fair_share.call_class import CallClass, class_of
from pintuan.running.supervisor.api_process import main


def _class_of(method: str, path: str, query: bytes = b"") -> CallClass:
    """Tells the class of a call; baselines have one that waits for no place, or places would be measured."""
    return CallClass.IMPORTS if path.startswith(PREFIX) else class_of(method, path, query)


if __name__ == "__main__":
    # Beside the real routes and behind the same layers, or the comparison would be of two applications.
    ROUTES.extend(HANDLERS)
    layer.class_of = _class_of  # type: ignore[attr-defined] # The layer's own name for what it imports.
    main()
