"""People: signing in by a code, sessions, and a person's right to see and erase their data."""
