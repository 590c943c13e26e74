"""Calls to addresses that others name: which may be called, how a call is signed and sent."""
