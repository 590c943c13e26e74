"""Merchants, and the references by which they know their buyers."""
