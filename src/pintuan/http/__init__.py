"""The frame of the HTTP API: protocol, bodies, queries, problems, documentation."""
