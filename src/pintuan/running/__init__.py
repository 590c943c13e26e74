"""Processes, audit, demo, diagnosis."""
