"""Worker processes: `python -m workers` runs one.

A worker knows no noun. `process` opens the jobs that nouns declare (`pintuan.base.jobs`), `clock` begins
them when their time has come, `turns` keeps those that one worker does for all from the others, and `rings`
listens to doorbells by arq.
"""
