"""Live progress of groups: who changed one tells every API process, and each tells those who watch.

`signals` carries "look in Postgres" between processes, `hub` looks once for all watchers of a process,
`stream` is one open response, `admission` counts them, `routes` is the HTTP side.
"""
