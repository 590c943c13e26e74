"""An API process exactly as the supervisor runs it, which serves the baselines, too."""

from __future__ import annotations

from benchmarks.baselines import HANDLERS
from pintuan.app import ROUTES
from pintuan.supervisor.api_process import main

if __name__ == "__main__":
    # Beside the real routes and behind the same layers, or the comparison would be of two applications.
    ROUTES.extend(HANDLERS)
    main()
