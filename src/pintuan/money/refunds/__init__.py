"""Refunds: a merchant gives back a captured order's money, in full or in parts."""
