"""Keeps one kind of call from taking what another needs: places to be worked on, connections to Postgres."""
