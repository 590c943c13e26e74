"""Worker processes: `python -m workers` runs one.

Jobs are thin: each drains what Postgres says is due. `process` runs arq, `jobs` lists what it may be asked,
`passes` keeps one kind of work from running twice at once in a process.
"""
