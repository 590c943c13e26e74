"""One API process, `python -m pintuan.supervisor.api_process --fd N`, on the supervisor's socket."""

import argparse
import socket
import sys

import uvicorn

from pintuan.app import create_app
from pintuan.settings import SettingsError

GRACEFUL_SHUTDOWN_S_MAX = 8
"""Less than the supervisor waits before it kills."""
KEEP_ALIVE_S = 75


def main() -> None:
    """Serves until SIGTERM, then finishes what it is doing; exits 1 with one line when it cannot start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    listener = socket.socket(fileno=parser.parse_args().fd)
    try:
        app = create_app()
    except SettingsError as error:
        sys.exit(f"pintuan: {error}")
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
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
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
