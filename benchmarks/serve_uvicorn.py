"""One API process under uvicorn with its own HTTP protocol, on the port that is the first argument."""

import sys

import uvicorn

from pintuan.app import create_app

uvicorn.run(
    create_app(),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    loop="uvloop",
    http="httptools",
    ws="none",
    log_config=None,
    access_log=False,
    server_header=False,
)
