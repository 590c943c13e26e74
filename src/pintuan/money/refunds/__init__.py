"""Refunds: what a merchant gives back of a captured order, in full or in parts."""
