"""The merchants' side and their systems."""
