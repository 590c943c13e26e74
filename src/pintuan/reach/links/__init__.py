"""The target of a shared link's code."""
