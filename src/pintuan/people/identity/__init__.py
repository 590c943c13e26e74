"""People: signing in by a code, sessions, and what a person may see and have erased."""
