"""One API process, `python -m pintuan.running.supervisor.api_process --fd N`, on the supervisor's socket.

With `--operator-only` it serves `/health/…` and `/metrics` and nothing else. With `--watch-workers` it is
ready only while the workers of its node are at work.
"""

import argparse
import gc
import socket
import sys
from functools import partial

import uvicorn

from pintuan.app import OPERATOR_ROUTES, ROUTES, create_app
from pintuan.base.settings.settings import SettingsError, load_settings
from pintuan.http.protocol.connection import gated
from pintuan.http.protocol.connection_limit import ConnectionLimit
from pintuan.http.protocol.placement_gate import PlacementGate
from pintuan.http.protocol.serving import PoliteServer
from pintuan.running.supervisor.descriptors import allow_many_descriptors
from pintuan.running.supervisor.readiness import tell_ready

GRACEFUL_SHUTDOWN_S_MAX = 8
"""Less than the supervisor waits before it kills."""
KEEP_ALIVE_S = 75
GARBAGE_MIN = 10_000
"""Objects that must have been made before Python looks for cycles among them, where it would begin at 700.

A request makes hundreds and leaves no cycles; looking so often took 3 % of a join's instructions.
"""


def main() -> None:
    """Serves until SIGTERM, then finishes what it is doing; exits 1 with one line when it cannot start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--ready-fd", type=int, help="descriptor of a pipe that is told once this serves")
    parser.add_argument("--operator-only", action="store_true", help="serve only what an operator asks")
    parser.add_argument(
        "--watch-workers", action="store_true", help="be ready only while this node's workers are at work"
    )
    options = parser.parse_args()
    listener = socket.socket(fileno=options.fd)
    # Before the application decides how many streams it keeps open.
    allow_many_descriptors()
    try:
        settings = load_settings()
        app = create_app(
            settings,
            routes=OPERATOR_ROUTES if options.operator_only else ROUTES,
            watches_workers=options.watch_workers,
        )
    except SettingsError as error:
        sys.exit(f"pintuan: {error}")
    protocol = gated(
        PlacementGate(settings.placements_in_flight),
        app.state.direct_placing,
        ConnectionLimit(settings.connections_per_address, settings.trusted_proxies),
    )
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # The application reads them itself, and only from the proxies an operator names.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S_MAX,
    )
    PoliteServer(config, serving=partial(_begin, options.ready_fd)).run(sockets=[listener])


def _begin(ready_fd: int | None) -> None:
    """Tells that this process serves; objects made so far stay to its end and are not looked through."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN)
    tell_ready(ready_fd)


if __name__ == "__main__":
    main()
