"""Postgres and Redis: connections, doorbells, signals between processes, and servers that come along."""
