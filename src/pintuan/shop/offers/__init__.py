"""Offers: what a deal said it sells, kept for the orders that were placed while it said so."""
