"""Runs a whole marketplace on one machine: servers, API and workers, restarted when they die.

    marketplace.py    the order of start and stop, and what ends it
    keeper.py         keeps one process alive
    backoff.py        how long to wait before the next try, and when to give up
    children.py       the API, worker and demo processes
    environment.py    how settings reach the children
    listener.py       the listening socket, which outlives every API process
    readiness.py      how a child tells that it serves
    signals.py        SIGTERM, SIGINT and SIGHUP, once and again
    api_process.py    what an API child runs

Errors:

    SupervisorError         the marketplace cannot start; one line for the operator
    ├── ListenError         the address cannot be listened on
    ├── NotReadyError       the API did not get ready in time
    └── CrashLoopError      a process died too often
"""
