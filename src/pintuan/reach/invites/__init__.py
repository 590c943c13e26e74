"""Inviting people to a group by personal links, and what came of it."""
