"""Addresses of people: read, compared by hashes, and kept encrypted."""
