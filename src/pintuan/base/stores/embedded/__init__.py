"""Postgres and Redis out of Python wheels, run as child processes of ours on Unix sockets.

Both servers have one interface: `prepare`, `start`, `wait_ready`, `stop`, `kill`, `wait`, `url`, `pid` and
`returncode`. A server holds a lock on its directory as long as any of its processes lives. A successor can
thus wait until a killed predecessor has truly gone.

Errors:

    EmbeddedError              the server cannot be prepared or started; its text is one line for the operator
        MissingServerError     its wheel, part of the extra `embedded`, is not installed
"""

from pintuan.base.stores.embedded.postgres import EmbeddedPostgres
from pintuan.base.stores.embedded.process import EmbeddedError, MissingServerError
from pintuan.base.stores.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedRedis", "MissingServerError"]
