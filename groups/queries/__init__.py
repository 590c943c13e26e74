"""The engine's statements, a file for each of its concerns."""
