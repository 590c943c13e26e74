"""The group engine: places people into groups, ends groups, keeps Redis and Postgres in agreement."""
