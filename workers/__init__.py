"""Worker processes: `python -m workers` runs one.

A worker knows no noun. `process` opens the jobs that nouns declare (`pintuan.base.jobs`), and `clock` begins
them at their time. `turns` gives a job that one worker does for all to one of them. `rings` listens to
doorbells by arq.
"""
