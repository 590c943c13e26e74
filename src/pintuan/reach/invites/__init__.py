"""Invitations of people to a group by personal links, and their results."""
